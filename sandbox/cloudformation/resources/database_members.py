# SPDX-License-Identifier: Apache-2.0
"""Members of Aurora clusters. Databases outside of a cluster are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.database_groups import retag
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent, wait_until

GONE = ("DBInstanceNotFound", "DBInstanceNotFoundFault")
# By name alike in the template, in what is created and in what is modified; and what AWS has by default.
_CHANGEABLE: Mapping[str, Any] = {
    "AutoMinorVersionUpgrade": True,
    "CACertificateIdentifier": None,
    "CopyTagsToSnapshot": False,
    "DBInstanceClass": None,
    "DBParameterGroupName": None,
    "EnablePerformanceInsights": False,
    "MonitoringInterval": 0,
    "MonitoringRoleArn": None,
    "PerformanceInsightsKMSKeyId": None,
    "PerformanceInsightsRetentionPeriod": None,
    "PreferredMaintenanceWindow": None,
    "PromotionTier": 1,
    "PubliclyAccessible": False,
}
_FIXED = ("AvailabilityZone", "DBClusterIdentifier", "DBSubnetGroupName", "Engine")
# Where DescribeDBInstances has another name.
_SHOWN = {"EnablePerformanceInsights": "PerformanceInsightsEnabled"}


class Members:
    """AWS::RDS::DBInstance."""

    type_name = "AWS::RDS::DBInstance"
    properties = frozenset({*_CHANGEABLE, *_FIXED, "DBInstanceIdentifier", "Tags"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Add the member to its cluster."""
        if "DBClusterIdentifier" not in properties:
            raise HandlerError("A DBInstance without DBClusterIdentifier is not supported")
        given = {key: value for key, value in properties.items() if key in _CHANGEABLE or key in _FIXED}
        name = properties.get("DBInstanceIdentifier", call.name).lower()
        call.client("rds").create_db_instance(
            DBInstanceIdentifier=name,
            Tags=tagging.as_list(tagging.wanted(call, properties)),
            **given,
        )
        return self._settled(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return how it is configured."""
        instance = _find(call, physical_id)
        if instance is None:
            return None
        names = [*_CHANGEABLE, *_FIXED, "DBInstanceIdentifier"]
        shown = {
            name: instance[_SHOWN.get(name, name)] for name in names if _SHOWN.get(name, name) in instance
        }
        if groups := instance.get("DBParameterGroups"):
            shown["DBParameterGroupName"] = groups[0]["DBParameterGroupName"]
        if subnets := instance.get("DBSubnetGroup"):
            shown["DBSubnetGroupName"] = subnets["DBSubnetGroupName"]
        return shown | tagging.shown(instance.get("TagList", []))

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the member at once."""
        given = {
            name: after.get(name, default)
            for name, default in _CHANGEABLE.items()
            if after.get(name, default) is not None and after.get(name) != before.get(name)
        }
        call.client("rds").modify_db_instance(
            DBInstanceIdentifier=physical_id, ApplyImmediately=True, **given
        )
        physical = self._settled(call, physical_id)
        retag(call, physical.attributes["DBInstanceArn"], before=before, after=after)
        return physical

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Take the member out of its cluster."""
        del properties
        client = call.client("rds")
        with absent_is_fine(*GONE):
            client.delete_db_instance(DBInstanceIdentifier=physical_id, SkipFinalSnapshot=True)
        wait_until(call, lambda: _find(call, physical_id) is None)

    def _settled(self, call: Call, name: str) -> Physical:
        wait_until(call, lambda: (_find(call, name) or {}).get("DBInstanceStatus") == "available")
        instance = _find(call, name)
        if instance is None:
            raise HandlerError(f"DBInstance {name} is gone")
        return Physical(name, _attributes(instance))


def _find(call: Call, name: str) -> dict[str, Any] | None:
    client = call.client("rds")
    answer = unless_absent(lambda: client.describe_db_instances(DBInstanceIdentifier=name), *GONE)
    return answer and dict(answer["DBInstances"][0])


def _attributes(instance: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "DBInstanceArn": instance["DBInstanceArn"],
        "DBInstanceStatus": instance["DBInstanceStatus"],
        "DbiResourceId": instance["DbiResourceId"],
        "Endpoint.Address": instance["Endpoint"]["Address"],
        "Endpoint.Port": str(instance["Endpoint"]["Port"]),
        "InstanceCreateTime": instance["InstanceCreateTime"].isoformat(),
    }


HANDLERS = (Members(),)
