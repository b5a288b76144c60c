# SPDX-License-Identifier: Apache-2.0
"""How quickly the region's machines and images come up, and what they cost in memory."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandbox import control
from tests.bench.report import Report, Row, sample
from tests.sandbox.region.conftest import RealRegion, until

pytestmark = pytest.mark.bench

MACHINES = 10
IMAGES = 5
BUDGET_MIB = 8 * 1024
LOOK_S = 0.05
SETTLED_S = 5.0
_MIB = 1 << 20


@pytest.fixture(name="launched")
def fixture_launched(region: RealRegion) -> Iterator[list[str]]:
    """Return a list of instances to end in the end."""
    instance_ids: list[str] = []
    yield instance_ids
    if instance_ids:
        region.terminate(*instance_ids)


def test_machines(report: Report, region: RealRegion, launched: list[str]) -> None:
    group_id = region.group("bench", 22)
    memory_used = [host_memory_mib()]
    one_by_one = [launch_to_login(region, group_id, 1, launched)[0] for _ in range(MACHINES)]
    memory_used.append(settled_memory_mib(region, launched))
    at_once = launch_to_login(region, group_id, MACHINES, launched)
    memory_used.append(settled_memory_mib(region, launched))
    rows = [
        sample("RunInstances to ssh login, one after the other", one_by_one, unit="s"),
        sample(f"RunInstances to ssh login, {MACHINES} at once", at_once, unit="s"),
        failed_units(region, launched),
        sample(
            "CreateImage to `available`, fresh machine",
            [commit(region, each, f"bench-{each}") for each in launched[:IMAGES]],
            unit="s",
        ),
    ]
    status = control.status(state_dir=region.state)
    before_end = host_memory_mib()
    count = len(launched)
    region.terminate(*launched)
    launched.clear()
    # Other programs of the host that start or end meanwhile show here: three looks, one median.
    of_host = [
        (memory_used[1] - memory_used[0]) / MACHINES,
        (memory_used[2] - memory_used[1]) / MACHINES,
        (before_end - host_memory_mib()) / count,
    ]
    report.add("region", (*rows, *memory_rows(status, of_host)))


def memory_rows(status: dict[str, Any], of_host: list[float]) -> Iterator[Row]:
    """Give what the region's own page says of its memory, beside what the host had less of per machine."""
    in_groups = [each["memory_bytes"] / _MIB for each in status["machines"]]
    daemon = status["daemon_memory_bytes"] / _MIB
    dearest = max(statistics.median(of_host), statistics.median(in_groups))
    yield sample("memory of an idle machine, its control group", in_groups, unit="MiB", digits=0)
    yield sample("memory of an idle machine, taken from the host", of_host, unit="MiB", digits=0)
    yield Row(f"memory of the daemon, with {len(in_groups)} machines", f"{daemon:.0f} MiB")
    yield Row(
        "machines in 8 GiB, beside the daemon",
        f"{(BUDGET_MIB - daemon) / dearest:.0f}",
        f"computed: {dearest:.0f} MiB each, {len(in_groups)} measured",
    )


def launch_to_login(region: RealRegion, group_id: str, count: int, launched: list[str]) -> list[float]:
    """Launch instances with one call; return the seconds until each let the operator in."""
    begun = time.perf_counter()
    answer = region.client("ec2").run_instances(
        ImageId=region.ami_id(),
        MinCount=count,
        MaxCount=count,
        InstanceType="t3.small",
        KeyName="operator",
        SubnetId=region.subnet()["SubnetId"],
        SecurityGroupIds=[group_id],
    )
    instance_ids = [str(each["InstanceId"]) for each in answer["Instances"]]
    launched += instance_ids

    def await_login(instance_id: str) -> float:
        address = until(lambda: region.instance(instance_id).get("PublicIpAddress"), bool)
        until(lambda: speaks_ssh(address), bool)
        until(lambda: region.ssh(address, "true").returncode, lambda code: bool(code == 0))
        return time.perf_counter() - begun

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(await_login, instance_ids))


def speaks_ssh(address: str) -> bool:
    """Tell whether the machine's ssh server answers: a look that costs less than a login."""
    try:
        with socket.create_connection((address, 22), timeout=1.0) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        time.sleep(LOOK_S)
        return False


def commit(region: RealRegion, instance_id: str, name: str) -> float:
    """Make an image of the instance; return the seconds until it was available."""
    ec2 = region.client("ec2")
    begun = time.perf_counter()
    ami_id = ec2.create_image(InstanceId=instance_id, Name=name, NoReboot=True)["ImageId"]
    while image_state(ec2, ami_id) != "available":
        time.sleep(LOOK_S)
    seconds = time.perf_counter() - begun
    ec2.deregister_image(ImageId=ami_id)
    return seconds


def image_state(ec2: Any, ami_id: str) -> str:
    """Return the image's state; a failed one ends the measurement."""
    state = str(ec2.describe_images(ImageIds=[ami_id])["Images"][0]["State"])
    assert state in ("pending", "available"), state
    return state


def settled_memory_mib(region: RealRegion, instance_ids: list[str]) -> float:
    """Return the host's used memory when all machines have booted and are idle."""
    for instance_id in instance_ids:
        region.run(address_of(region, instance_id), "systemctl is-system-running --wait || true")
    time.sleep(SETTLED_S)
    return host_memory_mib()


def failed_units(region: RealRegion, instance_ids: list[str]) -> Row:
    """Return how many machines did not come up whole, and what failed on them."""
    listing = "systemctl list-units --failed --plain --no-legend"
    said = [region.run(address_of(region, each), listing) for each in instance_ids]
    units = sorted({line.split()[0] for text in said for line in text.splitlines()})
    return Row("machines with a failed unit", f"{sum(map(bool, said))} of {len(said)}", ", ".join(units), "0")


def address_of(region: RealRegion, instance_id: str) -> str:
    """Return where the machine is reached."""
    return str(region.instance(instance_id)["PublicIpAddress"])


def host_memory_mib() -> float:
    """Return the host's memory that is neither free nor could be: page cache doesn't count."""
    seen = []
    for _ in range(5):
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text("ascii").splitlines())
        seen.append(int(fields["MemTotal"].split()[0]) - int(fields["MemAvailable"].split()[0]))
        time.sleep(0.2)
    return statistics.median(seen) / 1024
