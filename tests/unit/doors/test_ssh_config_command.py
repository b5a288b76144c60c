# SPDX-License-Identifier: Apache-2.0
"""The files that `ssh-config` writes: who may read them, what stays, and what changes."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    load_ssh_private_key,
    load_ssh_public_identity,
)

from orchestrator.commands import ssh_config
from orchestrator.commands.ssh_config import ConfigDesk
from orchestrator.commands.stacks import Place
from orchestrator.errors import ConfigError, MachineMissing
from tests.fakes import START, FakeTemplates
from tests.unit.doors.door_world import API_2, API_3, BASTION, WORKER, DoorLab

PROJECT = Path(__file__).resolve().parents[3]
INCLUDE = "Include slipway/*/config\n"


class Home:
    """An operator's home, and what a command shows."""

    def __init__(self, path: Path, **environ: str) -> None:
        self.path, self.lab = path, DoorLab()
        self.documents: list[Any] = []
        self.lines: list[str] = []
        place = Place(PROJECT, {"HOME": str(path), **environ}, None, lambda project, network: FakeTemplates())
        self.desk = ConfigDesk(place, lambda environment, verb: self.lab.world, self._show)

    def _show(self, document: object, lines: Sequence[str]) -> None:
        self.documents.append(document)
        self.lines += lines

    @property
    def folder(self) -> Path:
        return self.path / ".ssh" / "slipway" / "sandbox"

    def write(self, *, is_installed: bool = False) -> None:
        ssh_config.write(self.desk, "sandbox", is_installed=is_installed)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    def modes(self) -> dict[str, int]:
        paths = [self.folder, *self.folder.iterdir()]
        return {each.name: stat.S_IMODE(each.stat().st_mode) for each in paths}

    def certificate(self) -> SSHCertificate:
        found = load_ssh_public_identity(self.read("id-cert.pub").encode())
        assert isinstance(found, SSHCertificate)
        return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


class TestWrite:
    def test_only_their_owner_reads_the_files(self, home: Home) -> None:
        home.write()
        assert home.modes() == {
            "sandbox": 0o700,
            "config": 0o600,
            "hosts": 0o600,
            "id": 0o600,
            "id.pub": 0o600,
            "id-cert.pub": 0o600,
            "known_hosts": 0o600,
            "refresh": 0o700,
        }

    def test_machines_are_known_by_names_and_pinned_by_ids(self, home: Home) -> None:
        home.lab.forget_keys("api", API_3)
        home.write()
        blocks = [line for line in home.read("hosts").splitlines() if line.startswith("Host ")]
        assert blocks == [
            "Host bastion.sandbox",
            "Host worker-1.sandbox",
            "Host api-1.sandbox",
            "Host api-2.sandbox",
            "Host *.sandbox",
        ]
        pinned = [line.split()[0] for line in home.read("known_hosts").splitlines()]
        assert (pinned.count(BASTION), pinned.count(WORKER), pinned.count(API_3)) == (2, 2, 0)

    def test_the_certificate_opens_shells_of_all_classes_for_minutes(self, home: Home) -> None:
        home.write()
        made = home.certificate()
        principals = [b"sandbox/gate/jump", b"sandbox/api/shell", b"sandbox/jobs/shell"]
        assert made.valid_principals == principals
        assert made.valid_before == int((START + timedelta(minutes=6)).timestamp())
        private = load_ssh_private_key(home.read("id").encode(), None)
        assert made.public_key() == private.public_key()

    def test_what_was_written_is_told(self, home: Home) -> None:
        home.write()
        [document] = home.documents
        assert document["config"] == str(home.folder / "config")
        assert document["included_by"] == ""
        assert document["hosts"][0] == {
            "host": "bastion.sandbox",
            "instance_id": BASTION,
            "address": "203.0.113.1",
        }
        assert home.lines == [
            f"{home.folder}/config knows bastion.sandbox, worker-1.sandbox, api-1.sandbox, api-2.sandbox, "
            "api-3.sandbox",
            f"put this line at the top of {home.path}/.ssh/config, or run it again with --install: "
            "Include slipway/*/config",
        ]
        assert not (home.path / ".ssh" / "config").exists()

    def test_the_script_finds_the_same_account_whoever_starts_ssh(self, tmp_path: Path) -> None:
        home = Home(tmp_path, AWS_PROFILE="work", SLIPWAY_SANDBOX_PORT="4999", OTHER="no")
        home.write()
        lines = home.read("refresh").splitlines()
        assert [line for line in lines if "export" in line] == [
            "export AWS_PROFILE=work",
            "export SLIPWAY_SANDBOX_PORT=4999",
        ]
        assert lines[-1] == f"{PROJECT}/inv ssh-config.refresh --environment sandbox --quiet"

    @pytest.mark.parametrize("path", ["", "relative", '/a"b', "/a%b", "/a$b"])
    def test_a_home_that_ssh_cannot_hold_is_refused(self, path: str) -> None:
        desk = Home(Path(path)).desk
        place = Place(PROJECT, {"HOME": path}, None, desk.place.make_templates)
        with pytest.raises(ConfigError, match="must be a path that ssh's configuration can hold"):
            ssh_config.write(ConfigDesk(place, desk.join, desk.show), "sandbox", is_installed=True)


class TestInstall:
    def test_ssh_includes_it_once_and_the_rest_stays(self, home: Home) -> None:
        own = home.path / ".ssh" / "config"
        own.parent.mkdir(mode=0o700)
        own.write_text("Host mine\n    User me\n", "utf-8")
        own.chmod(0o640)
        for _ in range(2):
            home.write(is_installed=True)
            assert own.read_text("utf-8") == f"{INCLUDE}\nHost mine\n    User me\n"
            assert stat.S_IMODE(own.stat().st_mode) == 0o640
        assert home.documents[-1]["included_by"] == str(own)
        assert home.lines[-1] == f"{own} includes it"

    def test_it_is_made_where_there_is_none(self, home: Home) -> None:
        home.write(is_installed=True)
        own = home.path / ".ssh" / "config"
        assert own.read_text("utf-8") == INCLUDE
        assert stat.S_IMODE(own.stat().st_mode) == 0o600
        assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700

    def test_a_link_stays_one(self, home: Home) -> None:
        own, kept = home.path / ".ssh" / "config", home.path / "dotfiles"
        own.parent.mkdir(mode=0o700)
        kept.write_text("Host mine\n", "utf-8")
        own.symlink_to(kept)
        home.write(is_installed=True)
        assert own.is_symlink()
        assert kept.read_text("utf-8") == f"{INCLUDE}\nHost mine\n"


class TestRefresh:
    def test_new_machines_and_a_new_certificate_come_with_the_same_key(self, home: Home) -> None:
        home.write()
        key, script = home.read("id"), home.read("refresh")
        first = home.certificate().serial
        home.lab.end(API_2)
        home.lab.have("worker", "i-00000000000000077", minute=30)
        home.lab.clock.advance(600)
        ssh_config.refresh(home.desk, "sandbox")
        assert home.read("id") == key
        assert home.read("refresh") == script
        assert home.certificate().serial != first
        assert home.certificate().valid_before == int((START + timedelta(minutes=16)).timestamp())
        assert "Host worker-2.sandbox" in home.read("hosts")
        assert API_2 not in home.read("known_hosts")
        assert home.lines[-1] == f"4 machines are in {home.folder}/hosts"

    def test_what_is_there_stays_when_looking_fails(self, home: Home) -> None:
        home.write()
        before = {each.name: each.read_bytes() for each in home.folder.iterdir()}
        home.lab.end(BASTION)
        with pytest.raises(MachineMissing):
            ssh_config.refresh(home.desk, "sandbox")
        assert {each.name: each.read_bytes() for each in home.folder.iterdir()} == before

    def test_it_needs_files_to_refresh(self, home: Home) -> None:
        with pytest.raises(ConfigError) as caught:
            ssh_config.refresh(home.desk, "")
        assert caught.value.next_command == "invoke ssh-config --environment sandbox"
        assert home.lab.directory.calls == []
