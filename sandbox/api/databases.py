# SPDX-License-Identifier: Apache-2.0
"""Correct moto's RDS: what it drops, what it mixes up, and what AWS would refuse."""

from __future__ import annotations

import json
import secrets
import string
from collections import Counter
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import (
    DBClusterNotFoundError,
    DBParameterGroupNotFoundError,
    DBSubnetGroupNotFoundError,
)
from moto.rds.models import (
    DBInstance,
    DBInstanceClustered,
    MasterUserSecret,
    RDSBackend,
)
from moto.rds.responses import RDSResponse

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches

_ID_LETTERS = string.ascii_uppercase + string.digits
_ID_LENGTH = 26
_PASSWORD_LENGTH = 28
_INSIGHTS_DAYS = 7
_NAME_MEMBER = {
    "db_parameter_group": "DBParameterGroupName",
    "db_cluster_parameter_group": "DBClusterParameterGroupName",
}


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(RDSBackend, "create_db_cluster", _create_cluster(RDSBackend.create_db_cluster))
    patches.replace(RDSBackend, "modify_db_cluster", _modify_cluster(RDSBackend.modify_db_cluster))
    patches.replace(RDSBackend, "delete_db_cluster", _delete_cluster(RDSBackend.delete_db_cluster))
    patches.replace(RDSBackend, "modify_db_subnet_group", _modify_subnets(RDSBackend.modify_db_subnet_group))
    patches.replace(RDSBackend, "create_db_instance", _create_instance(RDSBackend.create_db_instance))
    patches.replace(DBInstance, "__init__", _made(DBInstance.__init__))
    patches.replace(DBInstance, "update", _updated(DBInstance.update))
    # Aurora backs up its volume all the time, and no member by itself.
    patches.replace(DBInstanceClustered, "save_automated_backup", lambda _: None)
    patches.replace(DBInstanceClustered, "default_db_parameter_group_details", _default_parameters)
    patches.replace(DBInstanceClustered, "address", property(_address))
    for noun in ("db_parameter_group", "db_cluster_parameter_group"):
        patches.replace(RDSResponse, f"reset_{noun}", _reset(noun))
    patches.replace(MasterUserSecret, "_generate_secret_string", _secret)
    patches.replace(MasterUserSecret, "rotate_secret", _rotate)


def _create_cluster(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_db_cluster(backend: Any, kwargs: Any) -> Any:
        """Refuse a name that is taken, and groups that are not there."""
        name = kwargs["db_cluster_identifier"].lower()
        if name in backend.clusters:
            raise AwsError("DBClusterAlreadyExistsFault", f"DB Cluster already exists: {name}")
        _check_parameters(backend, kwargs)
        subnets = kwargs.get("db_subnet_group_name")
        if subnets and subnets not in backend.subnet_groups:
            raise DBSubnetGroupNotFoundError(subnets)
        cluster = original(backend, kwargs)
        if not kwargs.get("db_cluster_parameter_group_name"):
            cluster.parameter_group = f"default.{_family(cluster)}"
        if subnets and not kwargs.get("availability_zones"):
            zones = {each.availability_zone for each in backend.subnet_groups[subnets]._subnets}
            cluster.availability_zones = sorted(zones)
        return cluster

    return create_db_cluster


def _check_parameters(backend: Any, kwargs: Any) -> None:
    name = kwargs.get("db_cluster_parameter_group_name")
    if name and not name.startswith("default.") and name not in backend.db_cluster_parameter_groups:
        message = f"DBClusterParameterGroup not found: {name}"
        raise AwsError("DBClusterParameterGroupNotFound", message)


def _modify_cluster(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify_db_cluster(backend: Any, kwargs: Any) -> Any:
        """Apply what moto puts aside: who may log in by IAM, and which logs are exported."""
        cluster = backend.clusters.get(kwargs["db_cluster_identifier"])
        if cluster is None:
            raise DBClusterNotFoundError(kwargs["db_cluster_identifier"])
        _check_parameters(backend, kwargs)
        if "enable_iam_database_authentication" in kwargs:
            cluster.iam_auth = kwargs.pop("enable_iam_database_authentication")
        if "cloudwatch_logs_export_configuration" in kwargs:
            _export(cluster, kwargs.pop("cloudwatch_logs_export_configuration"))
        if kwargs.get("manage_master_user_password") and cluster.manage_master_user_password:
            kwargs.pop("manage_master_user_password")
        return original(backend, kwargs)

    return modify_db_cluster


def _export(cluster: Any, changes: Any) -> None:
    removed = changes.get("DisableLogTypes", [])
    kept = [name for name in cluster.enabled_cloudwatch_logs_exports if name not in removed]
    added = [name for name in changes.get("EnableLogTypes", []) if name not in kept]
    cluster.enabled_cloudwatch_logs_exports = kept + added


def _delete_cluster(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_db_cluster(backend: Any, cluster_identifier: str, snapshot_name: str | None = None) -> Any:
        """Let the automated backups go with the cluster, as on AWS."""
        cluster = original(backend, cluster_identifier, snapshot_name)
        snapshots = backend.cluster_snapshots
        for name, snapshot in list(snapshots.items()):
            is_of_it = snapshot.cluster.db_cluster_identifier == cluster.db_cluster_identifier
            if is_of_it and snapshot.snapshot_type == "automated":
                del snapshots[name]
        return cluster

    return delete_db_cluster


def _modify_subnets(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify_db_subnet_group(backend: Any, subnet_name: str, description: str, subnets: Any) -> Any:
        """Keep the group, which moto loses."""
        if subnet_name not in backend.subnet_groups:
            raise DBSubnetGroupNotFoundError(subnet_name)
        group = original(backend, subnet_name, description, subnets)
        backend.subnet_groups[subnet_name] = group
        return group

    return modify_db_subnet_group


def _create_instance(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_db_instance(backend: Any, db_kwargs: Any) -> Any:
        """Put a member of a cluster into its subnets, where the fewest others are."""
        cluster = backend.clusters.get(db_kwargs.get("db_cluster_identifier"))
        if cluster is not None:
            db_kwargs.setdefault("db_subnet_group_name", _own_subnets(backend, cluster))
            if not db_kwargs.get("availability_zone"):
                taken = Counter(member.availability_zone for member in cluster.members)
                zones = cluster.availability_zones
                db_kwargs["availability_zone"] = min(zones, key=lambda zone: taken[zone])
        return original(backend, db_kwargs)

    return create_db_instance


def _own_subnets(backend: Any, cluster: Any) -> str | None:
    name: str = cluster.db_subnet_group_name
    return name if name in backend.subnet_groups else None


def _made(original: Callable[..., None]) -> Callable[..., None]:
    def made(instance: Any, *arguments: Any, **named: Any) -> None:
        """Give every instance a resource id of its own, and keep what it reports of itself."""
        original(instance, *arguments, **named)
        instance.dbi_resource_id = "db-" + "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
        _observe(instance, named)

    return made


def _updated(original: Callable[..., None]) -> Callable[..., None]:
    def update(instance: Any, **db_kwargs: Any) -> None:
        """Keep what moto sets under names that nobody reads."""
        original(instance, **db_kwargs)
        _observe(instance, db_kwargs)

    return update


def _observe(instance: Any, given: Any) -> None:
    if given.get("enable_performance_insights") is not None:
        is_on = given["enable_performance_insights"]
        instance.performance_insights_enabled = is_on
        instance.performance_insights_retention_period = _INSIGHTS_DAYS if is_on else None
        instance.performance_insights_kms_key_id = None
    for name in ("performance_insights_kms_key_id", "performance_insights_retention_period"):
        if given.get(name) is not None:
            setattr(instance, name, given[name])


def _family(cluster: Any) -> str:
    major = ".".join(str(cluster.engine_version).split(".")[:2])
    return f"{cluster.engine}{major}"


def _default_parameters(instance: Any) -> tuple[str, str]:
    family = _family(instance.cluster)
    return family, f"default.{family}"


def _address(instance: Any) -> str:
    """Return the member's own name: it ends as its cluster's do."""
    suffix = f"{instance.cluster.url_identifier}.{instance.region}.rds.amazonaws.com"
    return f"{instance.db_instance_identifier}.{suffix}"


def _reset(noun: str) -> Callable[[Any], ActionResult]:
    def reset(response: Any) -> ActionResult:
        """Give parameters back their defaults: moto, as AWS, lists those that were set."""
        name = response.params[f"{noun}_name"]
        group = getattr(response.backend, f"{noun}s").get(name)
        if group is None:
            raise DBParameterGroupNotFoundError(name)
        if response.params.get("reset_all_parameters"):
            group.parameters.clear()
        for parameter in response.params.get("parameters") or []:
            group.parameters.pop(parameter["ParameterName"], None)
        return ActionResult({_NAME_MEMBER[noun]: name})

    return reset


def _secret(secret: Any) -> str:
    """Return what a managed secret holds: the master user, with a password that nobody knew before."""
    letters = string.ascii_letters + string.digits + "!#$%&()*+,-.:;<=>?[]^_{|}~"
    password = "".join(secrets.choice(letters) for _ in range(_PASSWORD_LENGTH))
    return json.dumps({"username": secret.resource.master_username, "password": password})


def _rotate(secret: Any) -> None:
    """Put a new password in the secret's place; moto begins a rotation that never ends."""
    secret.secretsmanager.put_secret_value(
        secret.secret.arn,
        secret_string=_secret(secret),
        secret_binary=None,
        client_request_token=None,
        version_stages=["AWSCURRENT"],
    )
