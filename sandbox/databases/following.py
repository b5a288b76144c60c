# SPDX-License-Identifier: Apache-2.0
"""Make database servers as RDS's state has them: interfaces, servers, roles and names; and say what is so."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pymysql
from moto.ec2.models import ec2_backends
from moto.rds.models import rds_backends
from moto.secretsmanager.models import secretsmanager_backends

from sandbox.databases import interfaces, wanted
from sandbox.databases.accounts import Session, native_hash
from sandbox.databases.files import Files
from sandbox.databases.servers import Server, ServerPlan, Servers
from sandbox.databases.wanted import Cluster
from sandbox.services import Surroundings
from sandbox.substrate import SubstrateError

log = logging.getLogger(__name__)


class Follower:
    """Follows the state, one call at a time. Locks are held one after the other, never two at once."""

    def __init__(self, surroundings: Surroundings, *, servers: Servers, files: Files) -> None:
        self._around = surroundings
        self._servers = servers
        self._files = files
        self._names: frozenset[str] = frozenset()
        self._clusters: frozenset[str] = frozenset()
        self._is_settled = False
        self._complaint = ""

    def follow(self) -> bool:
        """Make everything as the state has it now, as far as that goes at once; say whether that is all."""
        clusters = self._read()
        plans = self._place(clusters)
        running = self._run(plans)
        ready = self._settle(clusters, running)
        self._put_names(clusters, {each.plan.member.resource_id: each.plan for each in ready})
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
        passwords = {cluster.resource_id: self._password(cluster) for cluster in clusters}
        for server in running:
            if server.plan.member.is_writer:
                self._lead_to(server)
        return [each for each in running if self._has_role(each, passwords[each.plan.cluster.resource_id])]

    def _lead_to(self, writer: Server) -> None:
        """Let the cluster's servers find their writer."""
        link = self._files.running(writer.plan.cluster.resource_id) / "writer.sock"
        if not link.is_symlink() or Path(link.readlink()) != writer.socket:
            part = link.with_suffix(".part")
            part.unlink(missing_ok=True)
            part.symlink_to(writer.socket)
            part.replace(link)

    def _has_role(self, server: Server, password: str) -> bool:
        cluster, is_writer = server.plan.cluster, server.plan.member.is_writer
        role = (is_writer, cluster.master, native_hash(password))
        if server.settled == role:
            return True
        try:
            with Session(server.socket) as session:
                if is_writer:
                    session.write_for(cluster, password)
                elif not session.read_from_writer():
                    return False
        except pymysql.MySQLError as error:
            log.debug("%s: %s", server.plan.member.identifier, error)
            return False
        server.settled = role
        return True

    def _password(self, cluster: Cluster) -> str:
        if cluster.secret_arn is None:
            return cluster.password or ""
        with self._around.locks.of("secretsmanager"):
            value = self._backend(secretsmanager_backends).get_secret_value(cluster.secret_arn, "", "")
        return str(json.loads(value["SecretString"])["password"])

    def _put_names(self, clusters: Iterable[Cluster], ready: Mapping[str, ServerPlan]) -> None:
        """Let names lead to servers that do what the name says, and to nothing while there is none."""
        addresses: dict[str, list[str]] = {}
        for cluster in clusters:
            of = [ready[each.resource_id] for each in cluster.members if each.resource_id in ready]
            writers = [plan.address for plan in of if plan.member.is_writer]
            readers = [plan.address for plan in of if not plan.member.is_writer]
            addresses[cluster.endpoint] = writers
            addresses[cluster.reader_endpoint] = readers or writers
            addresses.update({plan.member.endpoint: [plan.address] for plan in of})
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
