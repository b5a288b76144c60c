# SPDX-License-Identifier: Apache-2.0
"""How long a simulated region takes for fleets that no host could carry."""

from __future__ import annotations

import json
import os
import resource
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
# Instances, and in how many real seconds their refresh shall be over.
REFRESHES = ((10_000, 3), (100_000, 40))
PREFERENCES = {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 110, "InstanceWarmup": 30}


def test_large_fleets(report: Report, tmp_path: Path) -> None:
    rows = []
    for size in SIZES:
        with region(tmp_path / str(size)) as info:
            rows += measured(info.endpoint, size)
    for size, target_s in REFRESHES:
        with region(tmp_path / f"refresh-{size}") as info:
            rows.append(refreshed(info, size, target_s))
            rows.append(Row(f"{size} instances: memory of the daemon", f"{memory_mib(info.pid):.0f} MiB"))
    report.add("simulated", rows)


@contextmanager
def region(folder: Path) -> Iterator[control.RegionInfo]:
    state = StateDir(folder / ".sandbox")
    try:
        yield control.up(port=free_port(), mode="simulated", state_dir=state)
    finally:
        control.reset(state_dir=state)


def client(endpoint: str, service: str) -> Any:
    config = Config(read_timeout=600, retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "anything", "aws_secret_access_key": "goes"}
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", config=config, **keys)


def refreshed(info: control.RegionInfo, size: int, target_s: int) -> Row:
    """Replace a whole fleet, ten percent at a time; every instance boots in 30 s and warms up for 30."""
    endpoint = info.endpoint
    ec2, groups = client(endpoint, "ec2"), client(endpoint, "autoscaling")
    make_group(ec2, groups, size)
    groups.update_auto_scaling_group(AutoScalingGroupName="fleet", DesiredCapacity=size)
    advance(endpoint, 120)
    ec2.create_launch_template_version(
        LaunchTemplateName="fleet", SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.medium"}
    )
    groups.start_instance_refresh(
        AutoScalingGroupName="fleet",
        DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateName": "fleet", "Version": "2"}},
        Preferences=PREFERENCES,
    )

    def status() -> str:
        found = groups.describe_instance_refreshes(AutoScalingGroupName="fleet")["InstanceRefreshes"]
        return str(found[0]["Status"])

    def replace() -> None:
        while status() in ("Pending", "InProgress"):
            advance(endpoint, 60)

    cpu_before_s = cpu_s(info.pid)
    took_s = seconds(replace)
    worked_s = cpu_s(info.pid) - cpu_before_s
    assert status() == "Successful"
    what = f"{size} instances: an instance refresh replaces all"
    detail = f"{worked_s:.1f} s of the daemon's CPU time, {worked_s / size * 1e3:.2f} ms an instance"
    return Row(what, f"{took_s:.1f} s", detail, f"< {target_s} s")


def cpu_s(pid: int) -> float:
    """Return what a process has computed so far, which tells more than the clock on a busy machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Return what a process has in memory; a region that saves itself would not answer."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def measured(endpoint: str, size: int) -> list[Row]:
    ec2, groups = client(endpoint, "ec2"), client(endpoint, "autoscaling")
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
    # A block of a VPC has no more than 65536 addresses: each zone has one of its own.
    for number in (1, 2):
        ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock=f"10.{number}.0.0/16")
    subnets = [
        ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.{number}.0.0/16", AvailabilityZone=f"us-east-1{zone}")
        for number, zone in enumerate("abc")
    ]
    image = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
    data = {"ImageId": image, "InstanceType": "t3.small"}
    ec2.create_launch_template(LaunchTemplateName="fleet", LaunchTemplateData=data)
    groups.create_auto_scaling_group(
        AutoScalingGroupName="fleet",
        MinSize=0,
        MaxSize=2 * size,
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
