# SPDX-License-Identifier: Apache-2.0
"""What the templates of several stacks have in the same way: outputs, log groups, reasons for the scanner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troposphere import Output, Template
from troposphere.logs import LogGroup

# What CloudWatch Logs takes: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_RETENTIONS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)


def add_outputs(template: Template, values: Mapping[str, Any]) -> None:
    """Let other stacks read these values."""
    for name, value in values.items():
        template.add_output(Output(name, Value=value))


def add_log_group(template: Template, title: str, *, name: str, days: int, key_arn: Any) -> LogGroup:
    """Add an encrypted log group that keeps its events at least so many days."""
    retention = next(each for each in _RETENTIONS if each >= days)
    return template.add_resource(
        LogGroup(title, LogGroupName=name, RetentionInDays=retention, KmsKeyId=key_arn)
    )


def skip_checks(**reasons: str) -> dict[str, Any]:
    """Return the metadata that says why a resource need not pass checks of checkov: CKV_AWS_18="it ..."."""
    return {"checkov": {"skip": [{"id": name, "comment": reason} for name, reason in reasons.items()]}}
