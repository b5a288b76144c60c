# SPDX-License-Identifier: Apache-2.0
"""Take flow logs as AWS does: with a folder in the bucket, an ARN of a log group, and options of the files.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.responses.flow_logs import FlowLogs

from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches

S3, LOG_GROUP = "s3", "cloud-watch-logs"
_PLAIN_FILES = {"FileFormat": "plain-text", "HiveCompatiblePartitions": False, "PerHourPartition": False}


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(EC2Backend, "create_flow_logs", _any_destination(EC2Backend.create_flow_logs))
    patches.replace(FlowLogs, "create_flow_logs", _with_options(FlowLogs.create_flow_logs))


def _any_destination(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_flow_logs(backend: Any, **options: Any) -> Any:
        """Find the bucket or the log group that the destination names."""
        destination: str | None = options["log_destination"]
        kind = options["log_destination_type"] or LOG_GROUP
        if kind not in (S3, LOG_GROUP):
            raise unsupported(f"ec2.CreateFlowLogs with the destination type {kind}")
        if kind == LOG_GROUP and destination and options["log_group_name"] is None:
            options["log_group_name"] = destination.removesuffix(":*").rpartition(":")[2]
        if kind == S3 and destination:
            options["log_destination"] = destination.partition("/")[0]
        made, failed = original(backend, **options)
        for flow_log in made:
            flow_log.log_destination = destination
        return made, failed

    return create_flow_logs


def _with_options(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_flow_logs(response: Any) -> ActionResult:
        """Keep the options of the files, which moto drops."""
        known = set(response.ec2_backend.flow_logs)
        result: ActionResult = original(response)
        options = response._get_param("DestinationOptions")
        for flow_log_id in set(response.ec2_backend.flow_logs) - known:
            flow_log = response.ec2_backend.flow_logs[flow_log_id]
            if flow_log.log_destination_type == S3:
                flow_log.destination_options = _PLAIN_FILES | (options or {})
        return result

    return create_flow_logs
