# SPDX-License-Identifier: Apache-2.0
"""What plain ssh is told, whole, that it understands it, and when it looks for changes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.ports import Hop
from orchestrator.tools import openssh_config
from tests.unit.doors.test_openssh import API, BASTION, understood

MACHINES = {"api-1": API, "worker-1": Hop("i-2", "10.0.0.6", "admin", ("ssh-rsa V09SS0VS",))}
HOSTS = """\
Host bastion.sandbox
    HostName 203.0.113.1
    Port 22
    User admin
    HostKeyAlias i-b
    ControlMaster auto
    ControlPath "/h/sandbox/i-b"
    ControlPersist 5m

Host api-1.sandbox
    HostName 10.0.0.5
    Port 22
    User admin
    HostKeyAlias i-1
    ProxyJump bastion.sandbox

Host worker-1.sandbox
    HostName 10.0.0.6
    Port 22
    User admin
    HostKeyAlias i-2
    ProxyJump bastion.sandbox

Host *.sandbox
    UserKnownHostsFile "/h/sandbox/known_hosts"
    IdentityAgent none
    IdentityFile "/h/sandbox/id"
    CertificateFile "/h/sandbox/id-cert.pub"
    StrictHostKeyChecking yes
    GlobalKnownHostsFile none
    UpdateHostKeys no
    CheckHostIP no
    VerifyHostKeyDNS no
    PreferredAuthentications publickey
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    IdentitiesOnly yes
    ForwardAgent no
    ForwardX11 no
    Ciphers ^aes128-gcm@openssh.com
    ConnectTimeout 10
    ServerAliveInterval 3
    ServerAliveCountMax 3
"""
CONFIG = """\
# Written by invoke ssh-config --environment sandbox.
# A minute after the last look, the next connection looks for new machines first.
Match originalhost *.sandbox exec "sh /h/sandbox/refresh"

Match originalhost *.sandbox
    Include "/h/sandbox/hosts"
"""
# Stands for ./inv: takes a moment, tells that it was called, and how.
INV = """\
#!/bin/sh
echo "$* $AWS_PROFILE" >>{folder}/calls
sleep 0.3
{act}
"""


class TestFiles:
    def test_machines_have_names_and_are_reached_through_the_bastion(self) -> None:
        assert openssh_config.hosts(Path("/h/sandbox"), "sandbox", BASTION, MACHINES) == HOSTS

    def test_the_connection_to_the_bastion_is_not_shared_where_the_path_is_too_long(self) -> None:
        text = openssh_config.hosts(Path("/h", "x" * 90), "sandbox", BASTION, MACHINES)
        assert "ControlPath" not in text
        assert "ControlMaster" not in text

    def test_what_ssh_includes_looks_for_changes_first(self) -> None:
        assert openssh_config.config(Path("/h/sandbox"), "sandbox") == CONFIG

    @pytest.mark.parametrize(
        ("before", "after"),
        {
            "nothing there": ("", "Include slipway/*/config\n"),
            "blocks of others": ("Host a\n  User b\n", "Include slipway/*/config\n\nHost a\n  User b\n"),
            "there already": ("\tInclude slipway/*/config\nHost a\n", "\tInclude slipway/*/config\nHost a\n"),
        }.values(),
    )
    def test_ours_is_included_once(self, before: str, after: str) -> None:
        assert openssh_config.with_include(before) == after
        assert openssh_config.with_include(after) == after


class Place:
    """A folder with all files, and a program in place of ./inv."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "a home" / "sandbox"
        self.folder.mkdir(parents=True)
        self.inv = root / "inv program"
        self.inv_does(f"touch '{self.folder}/hosts'")
        self.write_hosts(MACHINES)
        text = openssh_config.script(self.folder, "sandbox", self.inv, {"AWS_PROFILE": "o'hara"})
        (self.folder / "refresh").write_text(text, "utf-8")
        (self.folder / "config").write_text(openssh_config.config(self.folder, "sandbox"), "utf-8")

    def inv_does(self, act: str) -> None:
        self.inv.write_text(INV.format(folder=self.root, act=act), "utf-8")
        self.inv.chmod(0o700)

    def write_hosts(self, machines: dict[str, Hop]) -> None:
        text = openssh_config.hosts(self.folder, "sandbox", BASTION, machines)
        (self.folder / "hosts").write_text(text, "utf-8")

    def grow_old(self, name: str = "hosts", seconds: float = 61) -> None:
        then = time.time() - seconds
        os.utime(self.folder / name, (then, then))

    def ask(self, host: str = "api-1.sandbox") -> dict[str, str]:
        return understood(self.folder / "config", host)

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text("utf-8").splitlines() if path.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


LOOK = "ssh-config.refresh --environment sandbox --quiet o'hara"


class TestSsh:
    def test_it_understands_the_blocks(self, place: Place) -> None:
        found = place.ask("worker-1.sandbox")
        wanted = {
            "hostname": "10.0.0.6",
            "user": "admin",
            "hostkeyalias": "i-2",
            "proxyjump": "bastion.sandbox",
            "stricthostkeychecking": "true",
            "userknownhostsfile": f"{place.folder}/known_hosts",
            "identityfile": f"{place.folder}/id",
            "certificatefile": f"{place.folder}/id-cert.pub",
            "identitiesonly": "yes",
            "forwardagent": "no",
        }
        assert {name: found.get(name) for name in wanted} == wanted

    def test_one_connection_to_the_bastion_serves_all(self, tmp_path: Path) -> None:
        (tmp_path / "hosts").write_text(HOSTS, "utf-8")
        found = understood(tmp_path / "hosts", "bastion.sandbox")
        wanted = {
            "hostname": "203.0.113.1",
            "controlmaster": "auto",
            "controlpath": "/h/sandbox/i-b",
            "controlpersist": "300",
        }
        assert {name: found.get(name) for name in wanted} == wanted

    def test_it_does_not_look_for_changes_within_a_minute(self, place: Place) -> None:
        place.ask()
        assert place.calls == []

    def test_it_does_not_look_for_other_peoples_hosts(self, place: Place) -> None:
        place.grow_old()
        assert place.ask("example.com")["hostname"] == "example.com"
        assert place.calls == []

    def test_after_a_minute_the_next_connection_knows_of_changes(self, place: Place) -> None:
        place.write_hosts({"api-1": Hop("i-3", "10.0.0.9", "admin", ())})
        (place.folder / "hosts").rename(place.root / "new")
        place.write_hosts(MACHINES)
        place.grow_old()
        place.inv_does(f"cp '{place.root}/new' '{place.folder}/hosts'")
        assert place.ask()["hostname"] == "10.0.0.9"
        assert place.calls == [LOOK]
        assert place.ask()["hostname"] == "10.0.0.9"
        assert place.calls == [LOOK]

    def test_old_files_are_used_when_looking_fails(self, place: Place) -> None:
        place.inv_does("exit 5")
        place.grow_old()
        assert place.ask()["hostname"] == "10.0.0.5"
        assert place.calls == [LOOK]
        assert not (place.folder / "lock").exists()

    def test_one_looks_for_many(self, place: Place) -> None:
        place.grow_old()
        argv = ["ssh", "-G", "-F", place.folder / "config", "api-1.sandbox"]
        asking = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(8)]
        answers = [each.communicate(timeout=60)[0] for each in asking]
        assert all("hostname 10.0.0.5\n" in answer for answer in answers)
        assert place.calls == [LOOK]

    def test_who_was_killed_while_looking_keeps_nobody_from_it(self, place: Place) -> None:
        (place.folder / "lock").mkdir()
        place.grow_old("lock", 121)
        place.grow_old()
        place.ask()
        assert place.calls == [LOOK]
