# SPDX-License-Identifier: Apache-2.0
"""A group to be refreshed in a simulated region, and the calls for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .simulated_world import Client, simulated

GROUP = "web"


def a_group() -> Iterator[Client]:
    for client in simulated():
        client.group(4)
        use_version(client, "1")
        client.aws("ec2").create_launch_template_version(
            LaunchTemplateName="web", SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.medium"}
        )
        client.advance(300)
        yield client


def template(version: str = "2") -> dict[str, Any]:
    return {"LaunchTemplate": {"LaunchTemplateName": "web", "Version": version}}


def use_version(client: Client, version: str) -> None:
    client.aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName=GROUP, **template(version))


def start(client: Client, *, desired: bool = True, strategy: str = "Rolling", **preferences: Any) -> str:
    options = {"DesiredConfiguration": template()} if desired else {}
    answer = client.aws("autoscaling").start_instance_refresh(
        AutoScalingGroupName=GROUP, Strategy=strategy, Preferences=preferences, **options
    )
    return str(answer["InstanceRefreshId"])


def shown(client: Client, **options: Any) -> list[dict[str, Any]]:
    answer = client.aws("autoscaling").describe_instance_refreshes(AutoScalingGroupName=GROUP, **options)
    return list(answer["InstanceRefreshes"])


def refusal(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]
