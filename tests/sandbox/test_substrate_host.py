# SPDX-License-Identifier: Apache-2.0
"""What the region does to the host itself, tried in a network namespace that stands for the host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("able_host")]

ROOT = Path(__file__).resolve().parents[2]
LINK = "slw-0123abcd"
PRELUDE = f"""
from ipaddress import IPv4Network
from pathlib import Path
from sandbox import preflight, process
from sandbox.names import RegionNames
from sandbox.network import forward_policy, uplink
from sandbox.network.addresses import RegionAddresses

def sh(command):
    return process.run(["sh", "-ec", command], action=command).strip()

def forwarding():
    return Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()

def rules():
    return sh("nft list ruleset")

names = RegionNames("{LINK}", Path("/nonexistent"), Path("/nonexistent"))
addresses = RegionAddresses(IPv4Network("198.18.4.0/22"))
for link in ("{LINK}", "eth7", "eth8"):
    sh("ip link add name " + link + " type bridge")
Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
"""


def on_host(script: str) -> None:
    """Run a script on a host of its own; its assertions are the test's."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", PRELUDE + script],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_first_region_switches_forwarding_on_for_itself_only_and_the_last_one_off() -> None:
    on_host("""
assert forwarding() == "0"
uplink.open_way_out(names, addresses)
assert forwarding() == "1"
assert 'iifname { "eth7", "eth8" } oifname { "eth7", "eth8" } drop' in rules()
sh("ip link add name slw-other type bridge")
uplink.remove(names)
assert forwarding() == "1", "another region still needs it"
assert "slw_0123abcd" not in rules()
other = RegionNames("slw-other", Path("/nonexistent"), Path("/nonexistent"))
uplink.remove(other)
assert forwarding() == "0"
assert rules() == ""
""")


def test_forwarding_that_was_on_stays_on_and_unguarded() -> None:
    on_host("""
Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
uplink.open_way_out(names, addresses)
assert "eth7" not in rules()
uplink.remove(names)
assert forwarding() == "1"
assert rules() == ""
""")


def test_forwarding_stays_on_for_who_came_to_need_it() -> None:
    on_host("""
uplink.open_way_out(names, addresses)
sh("ip link add name docker0 type bridge")
uplink.remove(names)
assert forwarding() == "1"
assert rules() == ""
""")


def test_host_firewall_that_forwards_nothing_is_passed_and_left_as_it_was() -> None:
    on_host("""
hook = "type filter hook forward priority 0"
sh(f"nft 'table ip filter {{ chain FORWARD {{ {hook}; policy drop; ct mark 7 accept; }}; }}'")
before = rules()
uplink.open_way_out(names, addresses)
uplink.open_way_out(names, addresses)
own = sh("nft list chain ip filter FORWARD")
assert own.count('iifname "slw-0123abcd" accept') == own.count('oifname "slw-0123abcd" accept') == 1
uplink.remove(names)
assert rules() == before
""")


def test_host_firewall_that_forwards_is_left_alone() -> None:
    on_host("""
sh("nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy accept; }; }'")
forward_policy.admit("slw-0123abcd")
assert "slw-0123abcd" not in rules()
""")


def test_region_moves_when_its_range_is_routed_elsewhere(tmp_path: Path) -> None:
    on_host(f"""
names = RegionNames("{LINK}", Path({str(tmp_path)!r}), Path("/nonexistent"))
first = uplink.region_addresses(names)
assert uplink.region_addresses(names) == first
sh(f"ip link set dev eth7 up && ip route add {{first.public_range[9]}}/32 dev eth7")
second = uplink.region_addresses(names)
assert not second.public_range.overlaps(first.public_range)
sh("ip link delete dev eth7")
assert uplink.region_addresses(names) == second, "it stays where it moved to"
""")


def test_preflight_finds_nothing_missing_and_leaves_no_trace() -> None:
    on_host("""
before = rules() + sh("ip link")
assert preflight.missing() == ()
assert rules() + sh("ip link") == before
""")


@pytest.fixture(name="readable")
def fixture_readable() -> Iterator[Path]:
    """Return a folder with the region's code that all may read; the checkout may be closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(
            ROOT / "sandbox", Path(folder, "sandbox"), ignore=shutil.ignore_patterns("__pycache__")
        )
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    ("prefix", "path", "expected"),
    [
        pytest.param(
            ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"],
            os.environ["PATH"],
            "not root: machines need network namespaces and mounts; run it as root",
            id="not-root",
        ),
        pytest.param(
            [],
            "/nonexistent",
            "no podman, conmon, nsenter, setpriv, unshare, mariadb-install-db, tcc, tar: "
            "install conmon mariadb-server-core podman tar tcc util-linux",
            id="no-programs",
        ),
    ],
)
def test_preflight_says_in_one_line_what_is_missing(
    prefix: list[str], path: str, expected: str, readable: Path
) -> None:
    script = "from sandbox import preflight; print(*preflight.missing(), sep='\\n')"
    python = ["/usr/bin/env", f"PATH={path}", f"PYTHONPATH={readable}", "/usr/bin/python3", "-c", script]
    done = subprocess.run([*prefix, *python], capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout.strip() == expected, done.stderr
