# SPDX-License-Identifier: Apache-2.0
"""Flow logs: what goes through a network, written down."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources.ec2_kinds import Description, Ec2Resource, Kind, picked
from sandbox.cloudformation.resources.failures import absent_is_fine

NO_FLOW_LOG = "InvalidFlowLogId.NotFound"
_FIELDS = (
    "TrafficType",
    "LogDestinationType",
    "LogDestination",
    "LogGroupName",
    "LogFormat",
    "MaxAggregationInterval",
    "DeliverLogsPermissionArn",
    "DestinationOptions",
)
_KINDS = {"vpc": "VPC", "subnet": "Subnet", "eni": "NetworkInterface"}


class FlowLog(Ec2Resource):
    """AWS::EC2::FlowLog."""

    type_name = "AWS::EC2::FlowLog"
    properties = frozenset({"ResourceType", "ResourceId", *_FIELDS, "Tags"})
    kind = Kind("describe_flow_logs", "FlowLogs", "FlowLogIds", NO_FLOW_LOG, "vpc-flow-log")

    def create(self, call: Call, properties: Properties) -> Physical:
        """Begin to log."""
        answer = call.client("ec2").create_flow_logs(
            **picked(dict(properties), "ResourceType", *_FIELDS),
            ResourceIds=[properties["ResourceId"]],
            TagSpecifications=self.kind.specification(call, properties),
        )
        for failed in answer.get("Unsuccessful", ()):
            raise HandlerError(failed["Error"]["Message"])
        return self.physical(call, answer["FlowLogIds"][0])

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """End logging; what was logged stays."""
        del properties
        with absent_is_fine(NO_FLOW_LOG):
            call.client("ec2").delete_flow_logs(FlowLogIds=[physical_id])

    def shown(self, call: Call, description: Description) -> dict[str, Any]:
        """Return what is logged, and where to."""
        del call
        resource_id = description["ResourceId"]
        kind = _KINDS[resource_id.partition("-")[0]]
        return {"ResourceId": resource_id, "ResourceType": kind, **picked(description, *_FIELDS)}

    def attributes(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the id."""
        del call
        return {"Id": description["FlowLogId"]}


HANDLERS = (FlowLog(),)
