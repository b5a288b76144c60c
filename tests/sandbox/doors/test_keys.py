# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates of people on the demo's machines, by plain OpenSSH."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.sandbox.doors.plain_ssh import WITHIN_S, Person, certificate_of, until
from tests.sandbox.environments.demo import Demo

pytestmark = pytest.mark.sandbox

SHELL = ("sandbox/bastion/jump", "sandbox/api/shell")
HOUR = timedelta(hours=1)
REFUSED = 255


@pytest.fixture(name="alice")
def fixture_alice(demo: Demo, tmp_path: Path) -> Iterator[Person]:
    """Give somebody with a new key. Machines remember who was blocked for a minute: a test, a name."""
    yield Person.new(demo, tmp_path, "alice")
    paths = [f"/slipway/sandbox/ssh/{kind}/{who}" for kind in ("keys", "blocked") for who in ("alice", "bob")]
    demo.client("ssm").delete_parameters(Names=paths)


def listed(demo: Demo) -> tuple[set[str], set[str]]:
    document = demo.json("keys.list")
    return {each["name"] for each in document["keys"]}, {each["name"] for each in document["blocked"]}


def test_added_key_opens_within_a_minute_and_its_removal_ends_what_is_open(demo: Demo, alice: Person) -> None:
    assert not alice.is_let_in()
    added = demo.json("keys.add", "--name", "alice", "--key", str(alice.public))
    assert (added["event"], listed(demo)) == ("key-added", ({"alice"}, set()))
    until(alice.is_let_in, what="alice is let in")
    with alice.session("api") as session:
        assert demo.json("keys.remove", "--name", "alice")["event"] == "key-removed"
        assert session.wait(WITHIN_S) == REFUSED
    # Each machine notices by itself, the bastion too.
    for fleet in ("api", "worker"):
        until(lambda fleet=fleet: not alice.is_let_in(fleet), what=f"alice is refused by {fleet}")
    assert listed(demo) == (set(), {"alice"})


def test_blocked_name_opens_nothing_with_certificates_that_are_valid(demo: Demo, alice: Person) -> None:
    certified = alice.with_certificate(*SHELL, who="bob", valid_for=HOUR)
    other = alice.with_certificate(*SHELL, who="bobby", valid_for=HOUR)
    assert certified.is_let_in()
    with certified.session("api") as session, other.session("api") as bystander:
        assert demo.json("keys.remove", "--name", "bob")["event"] == "key-removed"
        assert session.wait(WITHIN_S) == REFUSED
        until(lambda: not certified.is_let_in(), what="bob is refused")
        assert (other.is_let_in(), bystander.poll()) == (True, None)
    assert demo.json("keys.unblock", "--name", "bob")["event"] == "key-unblocked"
    until(certified.is_let_in, what="bob is let in again")


def test_signed_key_opens_what_it_says_and_nothing_else(demo: Demo, alice: Person) -> None:
    path = alice.public.with_name("alice-cert.pub")
    document = demo.json("keys.sign", "--key", str(alice.public), "--fleet", "api", "--hours", "1")
    assert document["file"] == str(path)
    found = certificate_of(path)
    assert found["Principals"] == list(SHELL)
    assert found["Serial"] == [document["serial"]]
    assert found["Extensions"] == ["permit-port-forwarding", "permit-pty"]
    signed = alice.certified(path)
    assert signed.run("api", "id -un").stdout == "admin\n"
    assert not signed.is_let_in("worker")


def test_operator_who_is_blocked_gets_nothing_signed(demo: Demo, alice: Person) -> None:
    document = demo.json("keys.sign", "--key", str(alice.public))
    who = document["key_id"].partition("/")[0]
    name = f"/slipway/sandbox/ssh/blocked/{who}"
    demo.client("ssm").put_parameter(Name=name, Value="2026-01-01T12:00:00Z", Type="String")
    try:
        refused = demo.project.run("keys.sign", "--key", str(alice.public))
    finally:
        demo.client("ssm").delete_parameter(Name=name)
    assert (refused.status, f"{who} is blocked since 2026-01-01T12:00:00Z" in refused.stderr) == (4, True)


@pytest.mark.parametrize(
    ("principals", "valid_for"),
    [
        pytest.param(SHELL, timedelta(seconds=-5), id="expired"),
        pytest.param(("sandbox/bastion/jump",), HOUR, id="of another door"),
        pytest.param(("sandbox/bastion/jump", "dev/api/shell"), HOUR, id="of another environment"),
        pytest.param(("admin", "root"), HOUR, id="of the user's name"),
    ],
)
def test_certificates_that_open_nothing(
    alice: Person, principals: tuple[str, ...], valid_for: timedelta
) -> None:
    assert not alice.with_certificate(*principals, who="carol", valid_for=valid_for).is_let_in()


def test_bastion_runs_nothing_for_who_may_only_go_on(alice: Person) -> None:
    certified = alice.with_certificate(*SHELL, who="carol", valid_for=HOUR)
    done = certified.run("bastion", "echo in")
    assert (done.returncode, done.stdout) == (1, "This account is currently not available.\n")


@pytest.mark.parametrize("fleet", ["bastion", "api"])
def test_root_is_never_let_in(alice: Person, fleet: str) -> None:
    certified = alice.with_certificate(*SHELL, "root", who="carol", valid_for=HOUR)
    done = certified.run(fleet, "id", user="root")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "Permission denied (publickey)" in done.stderr


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_passwords_are_not_even_asked_for(alice: Person, method: str) -> None:
    certified = alice.with_certificate(*SHELL, who="carol", valid_for=HOUR)
    done = certified.run("api", "id", options=["-o", f"PreferredAuthentications={method}"])
    assert done.returncode == REFUSED
    assert re.search(r"Permission denied \(publickey\)", done.stderr)


def test_agents_are_never_forwarded(alice: Person, tmp_path: Path) -> None:
    certified = alice.with_certificate(*SHELL, who="carol", valid_for=HOUR)
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        until(socket.exists, what="the agent listens", within_s=10)
        done = certified.run("api", "echo agent: $SSH_AUTH_SOCK", options=["-o", f"ForwardAgent={socket}"])
    finally:
        agent.terminate()
        agent.wait(10)
    assert (done.returncode, done.stdout) == (0, "agent:\n")
