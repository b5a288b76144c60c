# SPDX-License-Identifier: Apache-2.0
"""How long a simulated region takes for fleets that no host could carry."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox import control
from sandbox.state_dir import StateDir
from tests.bench.report import Report, Row
from tests.sandbox.region.conftest import free_port

pytestmark = pytest.mark.bench

SIZES = (1_000, 10_000)


def test_large_fleets(report: Report, tmp_path: Path) -> None:
    rows = []
    for size in SIZES:
        state = StateDir(tmp_path / str(size) / ".sandbox")
        try:
            info = control.up(port=free_port(), mode="simulated", state_dir=state)
            rows += measured(info.endpoint, size)
        finally:
            control.reset(state_dir=state)
    report.add("simulated", rows)


def measured(endpoint: str, size: int) -> list[Row]:
    def client(service: str) -> Any:
        config = Config(read_timeout=600, retries={"total_max_attempts": 1})
        keys = {"aws_access_key_id": "anything", "aws_secret_access_key": "goes"}
        return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", config=config, **keys)

    ec2, groups = client("ec2"), client("autoscaling")
    make_group(ec2, groups, size)

    def resize(desired: int) -> None:
        groups.update_auto_scaling_group(AutoScalingGroupName="fleet", DesiredCapacity=desired)

    def in_service() -> int:
        pages = groups.get_paginator("describe_auto_scaling_instances").paginate()
        found = [each for page in pages for each in page["AutoScalingInstances"]]
        return len([each for each in found if each["LifecycleState"] == "InService"])

    launched = seconds(lambda: resize(size))
    booted = seconds(lambda: advance(endpoint, 60))
    listed = seconds(in_service)
    assert in_service() == size
    hour = seconds(lambda: advance(endpoint, 3600))
    ended = seconds(lambda: (resize(0), advance(endpoint, 600)))
    assert in_service() == 0
    what = f"{size} instances"
    return [
        Row(f"{what}: set the group's capacity, all are launched", f"{launched:.1f} s"),
        Row(f"{what}: a minute, in which all boot and come into service", f"{booted:.2f} s"),
        Row(f"{what}: list them, 50 at a time", f"{listed:.1f} s", f"{size // 50} calls"),
        Row(f"{what}: an hour in which nothing happens", f"{hour:.2f} s"),
        Row(f"{what}: capacity 0, and ten minutes", f"{ended:.1f} s"),
    ]


def make_group(ec2: Any, groups: Any, size: int) -> None:
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc_id, CidrBlock=f"10.0.{64 * number}.0/18", AvailabilityZone=f"us-east-1{zone}"
        )
        for number, zone in enumerate("abc")
    ]
    image = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
    data = {"ImageId": image, "InstanceType": "t3.small"}
    ec2.create_launch_template(LaunchTemplateName="fleet", LaunchTemplateData=data)
    groups.create_auto_scaling_group(
        AutoScalingGroupName="fleet",
        MinSize=0,
        MaxSize=size,
        DesiredCapacity=0,
        LaunchTemplate={"LaunchTemplateName": "fleet"},
        VPCZoneIdentifier=",".join(each["Subnet"]["SubnetId"] for each in subnets),
    )


def advance(endpoint: str, region_seconds: float) -> None:
    body = json.dumps({"seconds": region_seconds}).encode()
    request = urllib.request.Request(f"{endpoint}/_sandbox/clock/advance", body)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310 - likewise
        json.load(answer)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
