# SPDX-License-Identifier: Apache-2.0
"""What is decided about machines before podman is asked: arguments, power states, facts, mirrors."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from sandbox.machines import mirror
from sandbox.machines.facts import write_facts
from sandbox.machines.host import power_of
from sandbox.machines.mirror import Mirror
from sandbox.machines.podman import INIT, Container, ContainerRequest, is_gone, run_arguments
from sandbox.names import RegionNames
from sandbox.network.forward_policy import handles
from sandbox.preflight import cgroups_missing
from sandbox.process import run, spawn
from sandbox.substrate import PowerState, SubstrateError

NAMES = RegionNames("slw-0123abcd", Path("/checkout/.sandbox"), Path("/cache"))
REQUEST = ContainerRequest(
    instance_id="i-1",
    image="localhost/slw-0123abcd/ami-1",
    hostname="ip-10-0-1-9",
    namespace=Path("/run/netns/slw-0123abcd-machine-i-1"),
    mounts={Path("/facts/a"): "/run/a"},
    labels={"name": "web"},
)


@pytest.mark.parametrize(
    ("state", "exit_code", "has_started", "expected"),
    [
        pytest.param("running", 0, True, PowerState.RUNNING, id="running"),
        pytest.param("paused", 0, True, PowerState.RUNNING, id="being-captured"),
        pytest.param("stopping", 0, True, PowerState.RUNNING, id="shutting-down"),
        pytest.param("stopped", 130, True, PowerState.POWERED_OFF, id="off-and-not-cleaned-up"),
        pytest.param("stopped", -1, True, PowerState.KILLED, id="ended-without-an-exit-code"),
        pytest.param("created", 0, False, PowerState.RUNNING, id="about-to-start"),
        pytest.param("created", 0, True, PowerState.KILLED, id="host-restarted"),
        pytest.param("exited", 0, True, PowerState.POWERED_OFF, id="exit"),
        pytest.param("exited", 130, True, PowerState.POWERED_OFF, id="poweroff"),
        pytest.param("exited", 129, True, PowerState.REBOOTING, id="reboot"),
        pytest.param("exited", 137, True, PowerState.KILLED, id="kill"),
        pytest.param("exited", 139, True, PowerState.KILLED, id="crash"),
    ],
)
def test_power_state(state: str, exit_code: int, has_started: bool, expected: PowerState) -> None:
    assert power_of(Container("i-1", "c0ffee", state, exit_code, 0, has_started)) is expected


def test_machine_has_no_capability_that_opens_its_firewall() -> None:
    arguments = run_arguments(NAMES, REQUEST)
    assert arguments[arguments.index("--cap-drop") + 1] == "ALL"
    added = {part.removeprefix("--cap-add=") for part in arguments if part.startswith("--cap-add")}
    assert added.isdisjoint({"ALL", "NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_MODULE", "DAC_READ_SEARCH"})
    assert "--privileged" not in arguments


def test_machine_arguments_carry_its_place_and_its_names() -> None:
    arguments = run_arguments(NAMES, REQUEST)
    pairs = list(zip(arguments, arguments[1:], strict=False))
    assert ("--network", "ns:/run/netns/slw-0123abcd-machine-i-1") in pairs
    assert ("--name", "slw-0123abcd-i-1") in pairs
    assert ("--label", "slipway.checkout=slw-0123abcd") in pairs
    assert {"--label=slipway.instance=i-1", "--label=name=web", "--volume=/facts/a:/run/a:ro"} <= set(
        arguments
    )
    assert {("--dns", "none")} <= set(pairs)
    assert "--no-hosts" in arguments
    assert arguments[-len(INIT) - 1 :] == ["localhost/slw-0123abcd/ami-1", *INIT]


def test_limits_stay_within_this_process_own() -> None:
    ceiling = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    arguments = run_arguments(NAMES, REQUEST)
    limit = next(part for part in arguments if part.startswith("nofile="))
    soft, hard = (int(part) for part in limit.removeprefix("nofile=").split(":"))
    assert 0 < soft <= hard
    assert ceiling == resource.RLIM_INFINITY or hard <= ceiling


def test_own_labels_can_not_be_overridden() -> None:
    request = ContainerRequest("i-1", "image", "host", Path("/n"), {}, {"slipway.instance": "i-2"})
    assert "--label=slipway.instance=i-2" not in run_arguments(NAMES, request)


def test_missing_container_is_recognised() -> None:
    message = 'Error: no container with name or ID "x" found: no such container'
    assert is_gone(SubstrateError("read", message))
    assert not is_gone(SubstrateError("read", "Error: database is locked"))
    assert not is_gone(SubstrateError("read", ""))


def test_facts_are_mounted_below_run_only(tmp_path: Path) -> None:
    mounts = write_facts(tmp_path, {"A": "1", "B": "5%"}, has_cgroup_v2=True)
    texts = {target: next(source.iterdir()).read_text() for source, target in mounts.items()}
    assert texts == {
        "/run/systemd/system.conf.d": '[Manager]\nDefaultEnvironment="A=1" "B=5%%"\n',
        "/run/systemd/system/ssh.service.d": (
            '[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS -o "SetEnv=A=1 B=5%%"\n'
        ),
        "/run/systemd/system/ssh@.service.d": (
            '[Service]\nExecStart=\nExecStart=-/usr/sbin/sshd -i $SSHD_OPTS -o "SetEnv=A=1 B=5%%"\n'
        ),
        "/run/environment.d": "A=1\nB=5%\n",
    }


def test_sessions_end_soon_where_the_kernel_does_not_tell_that_they_ended(tmp_path: Path) -> None:
    mounts = write_facts(tmp_path, {}, has_cgroup_v2=False)
    texts = {target: next(source.iterdir()).read_text() for source, target in mounts.items()}
    assert texts == {
        "/run/systemd/system.conf.d": "[Manager]\nDefaultTimeoutStopSec=10\n",
        "/run/systemd/system/session-.scope.d": "[Scope]\nTimeoutStopSec=1\n",
        "/run/systemd/system/user@.service.d": "[Service]\nTimeoutStopSec=1\n",
    }


MAIN = "Debian|Debian|http://mirror.example/debian/|12.15"
SECURITY = "Debian|Debian-Security|http://mirror.example/security/|12"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            [MAIN, SECURITY],
            Mirror("http://mirror.example/debian/", "http://mirror.example/security/", "12.15"),
            id="debian",
        ),
        pytest.param([MAIN], Mirror("http://mirror.example/debian/", None, "12.15"), id="no-security"),
        pytest.param(
            ["Node Source|Node Source|http://n.example|", MAIN],
            Mirror("http://mirror.example/debian/", None, "12.15"),
            id="others",
        ),
        pytest.param(
            ["Ubuntu|Ubuntu|http://u.example/ubuntu/|24.04"], Mirror(None, None), id="another-distribution"
        ),
        pytest.param([], Mirror(None, None), id="nothing"),
    ],
)
def test_mirror_is_the_hosts(lines: list[str], expected: Mirror) -> None:
    assert mirror.parse("\n".join(lines)) == expected


def test_mirror_that_debootstrap_chose_is_found_in_the_root(tmp_path: Path) -> None:
    (tmp_path / "etc/apt").mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").write_text("deb http://d.example/debian bookworm main\n")
    found = mirror.settled(Mirror(None, None), tmp_path)
    assert found == Mirror("http://d.example/debian", "http://d.example/debian-security")
    text = mirror.sources(found)
    assert "URIs: http://d.example/debian\nSuites: bookworm bookworm-updates\n" in text
    assert "URIs: http://d.example/debian-security\nSuites: bookworm-security\n" in text


def test_control_groups_of_either_version_do(tmp_path: Path) -> None:
    assert [each.what for each in cgroups_missing(tmp_path)] == ["control groups"]
    for name in ("cpu", "devices", "freezer", "memory", "pids"):
        (tmp_path / name).mkdir()
    assert str(cgroups_missing(tmp_path)[0]) == f"control groups: mount systemd under {tmp_path}"
    (tmp_path / "systemd").mkdir()
    assert cgroups_missing(tmp_path) == ()
    (tmp_path / "memory").rmdir()
    (tmp_path / "cgroup.controllers").touch()
    assert cgroups_missing(tmp_path) == ()


def test_rules_of_a_link_are_found_in_another_firewall() -> None:
    def rule(handle: int, name: str) -> dict[str, object]:
        return {"rule": {"handle": handle, "expr": [{"match": {"right": name}}, {"accept": None}]}}

    entries = [{"chain": {"name": "FORWARD"}}, rule(4, "slw-a"), rule(5, "slw-b"), rule(6, "slw-a")]
    assert handles(entries, "slw-a") == [4, 6]


@pytest.mark.parametrize(
    ("argv", "output"),
    [
        pytest.param(["sh", "-c", "seq 30 >&2; exit 3"], "21\n22\n23\n24\n25\n26\n27\n28\n29\n30", id="last"),
        pytest.param(["sh", "-c", "echo out; exit 3"], "out", id="stdout-if-stderr-is-empty"),
        pytest.param(["sh", "-c", "exit 3"], "exit code 3", id="silent"),
        pytest.param(["slipway-no-such-program"], "slipway-no-such-program is not installed", id="absent"),
        pytest.param(["sleep", "5"], "sleep did not end within 0.2 s", id="too-slow"),
    ],
)
def test_failure_of_a_program_is_told(argv: list[str], output: str) -> None:
    with pytest.raises(SubstrateError) as caught:
        run(argv, action="try", timeout_s=0.2 if argv[0] == "sleep" else 10)
    assert (caught.value.action, caught.value.output) == ("try", output)


def test_a_program_that_goes_on_starts_where_every_user_may_be(tmp_path: Path) -> None:
    log = tmp_path / "log"
    spawn(["pwd"], action="print the directory", log=log).wait()
    assert log.read_text() == "/\n"
