# SPDX-License-Identifier: Apache-2.0
"""How long a bake takes that finds nothing to do, and how often it asks AWS."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.bench.report import Report, Row, sample
from tests.sandbox.region.conftest import RealRegion, until

pytestmark = pytest.mark.bench

PROJECT = Path(__file__).resolve().parents[2]
ROUNDS = 7


def bake_ami(region: RealRegion, environ: Mapping[str, str], *options: str) -> str:
    """Run the command against the region; return what it prints."""
    argv = [str(PROJECT / "inv"), "bake-ami", *options]
    port = {"SLIPWAY_SANDBOX_PORT": str(urlsplit(region.endpoint).port)}
    return subprocess.run(argv, env=dict(environ) | port, capture_output=True, text=True, check=True).stdout


@pytest.fixture(name="published")
def fixture_published(region: RealRegion, operator_environ: Mapping[str, str]) -> Iterator[int]:
    """Publish an empty image in the name of each class, as a bake names them; return how many."""
    ec2 = region.client("ec2")
    instance_id = region.launch()["InstanceId"]
    classes = json.loads(bake_ami(region, operator_environ, "--dry-run", "--json"))["classes"]
    ami_ids = []
    for each in classes:
        tags = {"slipway:class": each["class"], "slipway:state": "published"}
        specification = {"ResourceType": "image", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
        answer = ec2.create_image(
            InstanceId=instance_id, Name=each["image_name"], NoReboot=True, TagSpecifications=[specification]
        )
        ami_ids.append(answer["ImageId"])
    until(
        lambda: [image["State"] for image in ec2.describe_images(ImageIds=ami_ids)["Images"]],
        lambda states: set(states) == {"available"},
    )
    region.terminate(instance_id)
    yield len(classes)
    for ami_id in ami_ids:
        ec2.deregister_image(ImageId=ami_id)


def test_a_bake_with_nothing_to_do(
    report: Report, region: RealRegion, operator_environ: Mapping[str, str], published: int
) -> None:
    bake_ami(region, operator_environ)  # fills caches
    known = len(region.state.requests.read_text("utf-8").splitlines())
    seconds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        printed = bake_ami(region, operator_environ)
        seconds.append(time.perf_counter() - begun)
        assert printed.count(": up to date, ") == published, printed
    # `date time service operation status duration`
    calls = [line.split()[3] for line in region.state.requests.read_text("utf-8").splitlines()[known:]]
    report.add(
        "no-op",
        (
            sample(f"`./inv bake-ami`, {published} classes up to date", seconds, unit="s", target="<= 1.5 s"),
            Row(
                "calls of AWS's API",
                f"{len(calls) / ROUNDS:g}",
                f"only {', '.join(sorted(set(calls)))}",
                "<= 2, none mutating",
            ),
        ),
    )
