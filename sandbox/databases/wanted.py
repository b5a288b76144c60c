# SPDX-License-Identifier: Apache-2.0
"""Read from RDS's state which database servers there are to be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ENGINE = "aurora-mysql"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a cluster; `resource_id` stays its own whatever it is called."""

    resource_id: str
    identifier: str
    endpoint: str
    subnet_id: str
    is_writer: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as its servers need to know it.

    `password` is None where a managed secret holds it, at `secret_arn`, or nobody said one.
    """

    resource_id: str
    identifier: str
    endpoint: str
    reader_endpoint: str
    port: int
    version: str
    database: str | None
    master: str
    secret_arn: str | None
    password: str | None = field(repr=False)
    has_tokens: bool
    group_ids: tuple[str, ...]
    parameters: Mapping[str, str]
    members: tuple[Member, ...]

    @property
    def writer(self) -> Member | None:
        """The member that takes writes; a cluster without members has none."""
        return next((member for member in self.members if member.is_writer), None)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Every name under which clients reach the cluster."""
        return (self.endpoint, self.reader_endpoint, *(member.endpoint for member in self.members))


def clusters(backend: Any) -> tuple[Cluster, ...]:
    """Return the clusters of RDS's backend; the caller holds its lock."""
    return tuple(
        _cluster(backend, record) for record in list(backend.clusters.values()) if record.engine == ENGINE
    )


def is_run(backend: Any, member: Any) -> bool:
    """Whether a member can have a server: its cluster is of our engine, and has a subnet in its zone."""
    return member.cluster.engine == ENGINE and member.availability_zone in _subnets(backend, member.cluster)


def _subnets(backend: Any, record: Any) -> dict[str, str]:
    group = backend.subnet_groups.get(record.db_subnet_group_name)
    return {subnet.availability_zone: subnet.id for subnet in group._subnets} if group else {}


def _cluster(backend: Any, record: Any) -> Cluster:
    secret = record.master_user_secret if record.manage_master_user_password else None
    return Cluster(
        resource_id=record.db_cluster_resource_id,
        identifier=record.db_cluster_identifier,
        endpoint=record.endpoint,
        reader_endpoint=record.reader_endpoint,
        port=int(record.port),
        version=record.engine_version,
        database=record.database_name,
        master=record.master_username,
        secret_arn=secret.secret_arn if secret else None,
        password=None if secret else getattr(record, "_master_user_password", None),
        has_tokens=record.iam_database_authentication_enabled,
        group_ids=tuple(record.vpc_security_group_ids),
        parameters=_parameters(backend, record.parameter_group),
        members=_members(backend, record),
    )


def _parameters(backend: Any, name: str) -> dict[str, str]:
    group = backend.db_cluster_parameter_groups.get(name)
    if group is None:
        return {}
    return {
        key: str(each["ParameterValue"]) for key, each in group.parameters.items() if "ParameterValue" in each
    }


def _members(backend: Any, record: Any) -> tuple[Member, ...]:
    subnets = _subnets(backend, record)
    return tuple(
        Member(
            resource_id=member.dbi_resource_id,
            identifier=member.db_instance_identifier,
            endpoint=member.address,
            subnet_id=subnets[member.availability_zone],
            is_writer=member.is_cluster_writer,
        )
        for member in record.members
        if is_run(backend, member)
    )
