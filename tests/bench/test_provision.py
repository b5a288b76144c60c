# SPDX-License-Identifier: Apache-2.0
"""How long templates take to write, an empty region to fill, and a region to be found as it should be."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sandbox import control
from sandbox.state_dir import StateDir
from tests.bench.report import Report, Row, sample
from tests.hooks import complete_launches
from tests.sandbox.region.conftest import RealRegion, free_port, until

pytestmark = pytest.mark.bench

PROJECT = Path(__file__).resolve().parents[2]
ROUNDS = 5


@pytest.fixture(name="empty")
def fixture_empty(tmp_path: Path) -> Iterator[RealRegion]:
    """Return a region with nothing in it but the public image."""
    state = StateDir(tmp_path / ".sandbox")
    try:
        info = control.up(port=free_port(), state_dir=state)
        yield RealRegion(state, info.endpoint, tmp_path / "no-key")
    finally:
        control.reset(state_dir=state)


def publish(region: RealRegion, classes: tuple[str, ...]) -> None:
    """Publish an image of each class: a stopped Debian machine, named as a bake names images."""
    ec2 = region.client("ec2")
    public = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
    for name in classes:
        tags = [{"Key": "slipway:class", "Value": name}, {"Key": "slipway:state", "Value": "published"}]
        ami_id = ec2.copy_image(SourceImageId=public, SourceRegion="us-east-1", Name=f"{name}-{'0' * 32}")[
            "ImageId"
        ]
        ec2.create_tags(Resources=[ami_id], Tags=tags)
        until(
            lambda ami_id=ami_id: ec2.describe_images(ImageIds=[ami_id])["Images"][0]["State"],
            lambda state: bool(state == "available"),
        )


def provision(region: RealRegion, environ: Mapping[str, str], *options: str) -> str:
    """Run the command against the region; return what it prints."""
    argv = [str(PROJECT / "inv"), "provision", *options, "--json"]
    port = {"SLIPWAY_SANDBOX_PORT": str(urlsplit(region.endpoint).port)}
    return subprocess.run(argv, env=dict(environ) | port, capture_output=True, text=True, check=True).stdout


@contextmanager
def launches_completed(region: RealRegion) -> Iterator[None]:
    """Say of every machine that it is ready as soon as it runs: plain Debian does not say so itself."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.5):
            complete_launches(region.client("autoscaling"))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def test_provisioning(
    report: Report, empty: RealRegion, operator_environ: Mapping[str, str], tmp_path: Path
) -> None:
    write = [sys.executable, "-m", "stacks.write", str(tmp_path / "templates")]
    synthesis = [timed(lambda: subprocess.run(write, cwd=PROJECT, check=True)) for _ in range(ROUNDS)]
    templates = len(list((tmp_path / "templates").iterdir()))
    publish(empty, ("api", "bastion", "worker"))
    with launches_completed(empty):
        first = timed(lambda: provision(empty, operator_environ, "--all"))
    stacks = empty.client("cloudformation").describe_stacks()["Stacks"]
    resources = sum(
        len(page["StackResourceSummaries"])
        for stack in stacks
        for page in empty.client("cloudformation")
        .get_paginator("list_stack_resources")
        .paginate(StackName=stack["StackName"])
    )
    known = len(empty.state.requests.read_text("utf-8").splitlines())
    again = []
    for _ in range(ROUNDS):
        again.append(timed(lambda: provision(empty, operator_environ, "--all", "--dry-run")))
    calls = empty.state.requests.read_text("utf-8").splitlines()[known:]
    plan = json.loads(provision(empty, operator_environ, "--all", "--dry-run"))
    assert {each["action"] for each in plan["stacks"]} == {"unchanged"}
    report.add(
        "provision",
        (
            sample(f"all {templates} templates of the project written", synthesis, unit="s"),
            Row(
                "an empty region filled",
                f"{first:.1f} s",
                f"{len(stacks)} stacks, {resources} resources, once",
            ),
            sample("the same again, nothing to do", again, unit="s", target="< 10 s"),
            Row("calls of AWS's API for that", f"{len(calls) / ROUNDS:g}"),
        ),
    )
