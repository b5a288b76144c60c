# SPDX-License-Identifier: Apache-2.0
"""Make database servers as RDS's state has them: interfaces, servers, roles and names; and say what is so."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from moto.ec2.models import ec2_backends
from moto.rds.models import rds_backends
from moto.secretsmanager.exceptions import SecretsManagerClientError
from moto.secretsmanager.models import secretsmanager_backends

from sandbox.databases import interfaces, wanted
from sandbox.databases.files import Files
from sandbox.databases.roles import Roles
from sandbox.databases.servers import Server, ServerPlan, Servers
from sandbox.databases.tokens import Counters
from sandbox.databases.wanted import Cluster
from sandbox.services import Surroundings
from sandbox.substrate import SubstrateError

log = logging.getLogger(__name__)


class Follower:
    """Follows the state, one call at a time. Locks are held one after the other, never two at once."""

    def __init__(
        self, surroundings: Surroundings, *, servers: Servers, counters: Counters, files: Files
    ) -> None:
        self._around = surroundings
        self._servers = servers
        self._counters = counters
        self._files = files
        self._roles = Roles(files)
        self._names: frozenset[str] = frozenset()
        self._clusters: frozenset[str] = frozenset()
        self._is_settled = False
        self._complaint = ""

    def follow(self) -> bool:
        """Make everything as the state has it now, as far as that goes at once; say whether that is all."""
        clusters = self._read()
        self._counters.follow(clusters)
        plans = self._place(clusters)
        running = self._run(plans)
        ready = self._settle(clusters, running)
        self._put_names(clusters, plans, ready)
        self._write_down(each.plan.member.identifier for each in ready)
        self._clear(clusters)
        return len(ready) == sum(len(cluster.members) for cluster in clusters)

    def _backend(self, backends: Any) -> Any:
        return backends[self._around.account_id][self._around.region]

    def _read(self) -> tuple[Cluster, ...]:
        with self._around.locks.of("rds"):
            return wanted.clusters(self._backend(rds_backends))

    def _place(self, clusters: Iterable[Cluster]) -> list[ServerPlan]:
        members = {
            member.resource_id: (cluster, member) for cluster in clusters for member in cluster.members
        }
        places = [
            interfaces.Wanted(resource_id, member.subnet_id, cluster.group_ids)
            for resource_id, (cluster, member) in members.items()
        ]
        with self._around.locks.of("ec2"):
            nics, changed = interfaces.arrange(self._backend(ec2_backends), places)
            held = {resource_id: (nic.id, nic.private_ip_address) for resource_id, nic in nics.items()}
        if changed:
            self._is_settled = False
            self._around.changed()
        if not self._is_settled:
            self._around.settle_network()
            self._is_settled = True
        return [ServerPlan(*held[resource_id], *members[resource_id]) for resource_id in held]

    def _run(self, plans: list[ServerPlan]) -> list[Server]:
        try:
            running = self._servers.apply(plans)
        except SubstrateError as error:
            self._complain(str(error))
            return []
        self._complain("")
        return running

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.warning("%s", complaint)
        self._complaint = complaint

    def _settle(self, clusters: Iterable[Cluster], running: list[Server]) -> list[Server]:
        """Give every server its role, and return those that have it."""
        ready = []
        for cluster in clusters:
            of_it = [each for each in running if each.plan.cluster.resource_id == cluster.resource_id]
            ready += self._roles.settle(cluster, of_it, self._password(cluster))
        return ready

    def _password(self, cluster: Cluster) -> str | None:
        """Return the master's password; None leaves it as it is, where its secret was taken away."""
        if cluster.secret_arn is None:
            return cluster.password
        try:
            with self._around.locks.of("secretsmanager"):
                value = self._backend(secretsmanager_backends).get_secret_value(cluster.secret_arn, "", "")
            return str(json.loads(value["SecretString"])["password"])
        except (SecretsManagerClientError, ValueError, KeyError, TypeError) as error:
            log.debug("the master's password of %s: %r", cluster.identifier, error)
            return None

    def _put_names(self, clusters: Iterable[Cluster], plans: list[ServerPlan], ready: list[Server]) -> None:
        """Let names lead to members; the readers' one only to those that have what was written."""
        placed = {plan.member.resource_id: plan.address for plan in plans}
        are_ready = {server.plan.member.resource_id for server in ready}
        addresses: dict[str, list[str]] = {}
        for cluster in clusters:
            of_it = [member for member in cluster.members if member.resource_id in placed]
            writers = [placed[each.resource_id] for each in of_it if each.is_writer]
            readers = [
                placed[each.resource_id]
                for each in of_it
                if not each.is_writer and each.resource_id in are_ready
            ]
            addresses[cluster.endpoint] = writers
            addresses[cluster.reader_endpoint] = readers or writers
            addresses.update({each.endpoint: [placed[each.resource_id]] for each in of_it})
        for name in self._names - set(addresses):
            self._around.names.remove(name)
        for name, found in addresses.items():
            self._around.names.put(name, found)
        self._names = frozenset(addresses)

    def _write_down(self, ready: Iterable[str]) -> None:
        with self._around.locks.of("rds"):
            instances = self._backend(rds_backends).databases
            for identifier in ready:
                instance = instances.get(identifier)
                if instance is not None and instance.status == "creating":
                    instance.status = "available"
                    self._around.changed()

    def _clear(self, clusters: tuple[Cluster, ...]) -> None:
        self._files.keep_only(
            (cluster.resource_id, member.resource_id) for cluster in clusters for member in cluster.members
        )
        present = frozenset(cluster.resource_id for cluster in clusters)
        for resource_id in self._clusters - present:
            self._files.end(resource_id)
        self._clusters = present
