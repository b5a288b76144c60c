# SPDX-License-Identifier: Apache-2.0
"""Aurora clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.database_groups import retag
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent, wait_until

GONE = ("DBClusterNotFoundFault",)
# By name alike in the template, in what is created and in what is modified; and what AWS has by default.
_CHANGEABLE: Mapping[str, Any] = {
    "BacktrackWindow": 0,
    "BackupRetentionPeriod": 1,
    "CopyTagsToSnapshot": False,
    "DBClusterParameterGroupName": None,
    "DeletionProtection": False,
    "EnableIAMDatabaseAuthentication": False,
    "EngineVersion": None,
    "ManageMasterUserPassword": False,
    "MasterUserPassword": None,
    "Port": None,
    "PreferredBackupWindow": None,
    "PreferredMaintenanceWindow": None,
    "ServerlessV2ScalingConfiguration": None,
    "VpcSecurityGroupIds": None,
}
_FIXED = (
    "AvailabilityZones",
    "DBSubnetGroupName",
    "DatabaseName",
    "Engine",
    "KmsKeyId",
    "MasterUsername",
    "StorageEncrypted",
)
# Where DescribeDBClusters has another name.
_SHOWN = {
    "DBClusterParameterGroupName": "DBClusterParameterGroup",
    "DBSubnetGroupName": "DBSubnetGroup",
    "EnableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
    "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
}
# moto's word for the account's own key.
_OWN_KEY = "default_kms_key_id"


class Clusters:
    """AWS::RDS::DBCluster."""

    type_name = "AWS::RDS::DBCluster"
    properties = frozenset(
        {
            *_CHANGEABLE,
            *_FIXED,
            "DBClusterIdentifier",
            "EnableCloudwatchLogsExports",
            "MasterUserSecret.KmsKeyId",
            "Tags",
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the cluster; it has no members yet."""
        given = {key: value for key, value in properties.items() if key in _CHANGEABLE or key in _FIXED}
        if exports := properties.get("EnableCloudwatchLogsExports"):
            given["EnableCloudwatchLogsExports"] = exports
        name = properties.get("DBClusterIdentifier", call.name).lower()
        call.client("rds").create_db_cluster(
            DBClusterIdentifier=name,
            Tags=tagging.as_list(tagging.wanted(call, properties)),
            **given,
            **_secret_key(properties),
        )
        return self._settled(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return how it is configured."""
        cluster = _find(call, physical_id)
        if cluster is None:
            return None
        names = [*_CHANGEABLE, *_FIXED, "DBClusterIdentifier", "EnableCloudwatchLogsExports"]
        shown = {name: cluster[_SHOWN.get(name, name)] for name in names if _SHOWN.get(name, name) in cluster}
        shown["VpcSecurityGroupIds"] = [group["VpcSecurityGroupId"] for group in cluster["VpcSecurityGroups"]]
        if shown.get("KmsKeyId") == _OWN_KEY:
            del shown["KmsKeyId"]
        secret = cluster.get("MasterUserSecret")
        if secret:
            shown |= {"ManageMasterUserPassword": True, "MasterUserSecret": {"KmsKeyId": secret["KmsKeyId"]}}
        return shown | tagging.shown(cluster.get("TagList", []))

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the cluster at once."""
        given = {
            name: after.get(name, default)
            for name, default in _CHANGEABLE.items()
            if after.get(name, default) is not None and after.get(name) != before.get(name)
        }
        if given.get("EngineVersion"):
            given["AllowMajorVersionUpgrade"] = True
        if given.get("ManageMasterUserPassword"):
            given |= _secret_key(after)
        call.client("rds").modify_db_cluster(
            DBClusterIdentifier=physical_id,
            ApplyImmediately=True,
            CloudwatchLogsExportConfiguration=_exports(before, after),
            **given,
        )
        physical = self._settled(call, physical_id)
        retag(call, physical.attributes["DBClusterArn"], before=before, after=after)
        return physical

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the cluster without a last snapshot."""
        del properties
        client = call.client("rds")
        with absent_is_fine(*GONE):
            client.delete_db_cluster(DBClusterIdentifier=physical_id, SkipFinalSnapshot=True)
        wait_until(call, lambda: _find(call, physical_id) is None)

    def snapshot(self, call: Call, physical_id: str) -> None:
        """Take the snapshot that stays when the cluster goes; a removal tried again finds it there."""
        with absent_is_fine(*GONE, "DBClusterSnapshotAlreadyExistsFault"):
            call.client("rds").create_db_cluster_snapshot(
                DBClusterIdentifier=physical_id, DBClusterSnapshotIdentifier=f"{call.name}-snapshot".lower()
            )

    def _settled(self, call: Call, name: str) -> Physical:
        wait_until(call, lambda: (_find(call, name) or {}).get("Status") == "available")
        cluster = _find(call, name)
        if cluster is None:
            raise HandlerError(f"DBCluster {name} is gone")
        return Physical(name, _attributes(cluster))


def _find(call: Call, name: str) -> dict[str, Any] | None:
    client = call.client("rds")
    answer = unless_absent(lambda: client.describe_db_clusters(DBClusterIdentifier=name), *GONE)
    return answer and dict(answer["DBClusters"][0])


def _attributes(cluster: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {
        "DBClusterArn": cluster["DBClusterArn"],
        "DBClusterResourceId": cluster["DbClusterResourceId"],
        "Endpoint.Address": cluster["Endpoint"],
        "Endpoint.Port": str(cluster["Port"]),
        "ReadEndpoint.Address": cluster["ReaderEndpoint"],
    }
    if secret := cluster.get("MasterUserSecret"):
        attributes["MasterUserSecret.SecretArn"] = secret["SecretArn"]
    return attributes


def _secret_key(properties: Properties) -> dict[str, Any]:
    key = properties.get("MasterUserSecret", {}).get("KmsKeyId")
    return {"MasterUserSecretKmsKeyId": key} if key else {}


def _exports(before: Properties, after: Properties) -> dict[str, Any]:
    old = before.get("EnableCloudwatchLogsExports", [])
    new = after.get("EnableCloudwatchLogsExports", [])
    return {
        "EnableLogTypes": [name for name in new if name not in old],
        "DisableLogTypes": [name for name in old if name not in new],
    }


HANDLERS = (Clusters(),)
