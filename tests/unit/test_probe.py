# SPDX-License-Identifier: Apache-2.0
"""The probe of a boot test: what it takes for a leftover of the image, and that it is a whole program."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from orchestrator.domain.boot_test import Check
from orchestrator.probe import probe, probe_program
from orchestrator.probe.probe import Leftovers
from tests.fakes import HOST_KEY

PROJECT = Path(__file__).resolve().parents[2]
SEAL_PATHS = yaml.safe_load((PROJECT / "roles/image_seal/vars/main.yml").read_text())["image_seal_paths"]
NOBODY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIi builder"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, body: str = "x") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
        return path

    return write


def before_boot(root: Path) -> Leftovers:
    """Return a look at a machine that booted after all its files were there."""
    return Leftovers(time.time() + 60, root)


def after_boot(root: Path) -> Leftovers:
    """Return a look at a machine that booted before any of its files was there."""
    return Leftovers(time.time() - 60, root)


def entry(path: str, sealed: str, booted: str) -> dict[str, str]:
    return {"path": path, "sealed": sealed, "booted": booted, "why": "because"}


def look(found: Leftovers, *entries: dict[str, str]) -> list[str]:
    for each in entries:
        found.look_for(each)
    return sorted(found.found)


class TestSealPaths:
    @pytest.mark.parametrize("booted", ["same", "renewed", "any"])
    def test_what_must_be_absent_and_came_with_the_image_is_found(
        self, tmp_path: Path, write: Write, booted: str
    ) -> None:
        write("home/a/.ssh/id_rsa")
        write("home/b/.ssh/known_hosts")
        found = look(before_boot(tmp_path), entry("/home/*/.ssh/id_*", "absent", booted))
        assert found == ["/home/a/.ssh/id_rsa"]

    @pytest.mark.parametrize(("booted", "expected"), [("same", 1), ("renewed", 0), ("any", 0)])
    def test_what_was_made_since_the_boot_matters_only_where_nobody_makes_it(
        self, tmp_path: Path, write: Write, booted: str, expected: int
    ) -> None:
        write("etc/ssh/ssh_host_ed25519_key")
        found = look(after_boot(tmp_path), entry("/etc/ssh/ssh_host_*", "absent", booted))
        assert len(found) == expected

    @pytest.mark.parametrize(("booted", "expected"), [("renewed", 1), ("any", 0)])
    def test_a_boot_that_only_touched_a_file_has_not_renewed_it(
        self, tmp_path: Path, write: Write, booted: str, expected: int
    ) -> None:
        path = write("etc/machine-id")
        os.utime(path, (1, 1))  # ctime is now, mtime is the image's
        assert len(look(after_boot(tmp_path), entry("/etc/machine-id", "blank", booted))) == expected

    def test_a_blank_file_may_be_there(self, tmp_path: Path, write: Write) -> None:
        write("etc/machine-id", "")
        assert look(before_boot(tmp_path), entry("/etc/machine-id", "blank", "same")) == []

    def test_a_vacant_directory_may_be_there_and_what_is_in_it_is_found(
        self, tmp_path: Path, write: Write
    ) -> None:
        wanted = entry("/var/spool/x", "vacant", "same")
        (tmp_path / "var/spool/x").mkdir(parents=True)
        assert look(before_boot(tmp_path), wanted) == []
        write("var/spool/x/left")
        assert look(before_boot(tmp_path), wanted) == ["/var/spool/x/left"]

    def test_a_stale_directory_is_vacant_and_old(self, tmp_path: Path) -> None:
        lists = tmp_path / "var/lib/apt/lists"
        lists.mkdir(parents=True)
        wanted = entry("/var/lib/apt/lists", "stale", "same")
        assert look(before_boot(tmp_path), wanted) == ["/var/lib/apt/lists"]
        os.utime(lists, (0, 0))
        assert look(before_boot(tmp_path), wanted) == []

    def test_directories_without_files_may_be_there(self, tmp_path: Path, write: Write) -> None:
        (tmp_path / "var/log/nginx").mkdir(parents=True)
        wanted = entry("/var/log", "no_files", "any")
        assert look(before_boot(tmp_path), wanted) == []
        write("var/log/nginx/access.log")
        assert look(before_boot(tmp_path), wanted) == ["/var/log/nginx/access.log"]
        assert look(after_boot(tmp_path), wanted) == []

    def test_a_dangling_link_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "root/.aws").symlink_to("/nowhere")
        assert look(before_boot(tmp_path), entry("/root/.aws", "absent", "same")) == ["/root/.aws"]

    def test_what_is_mounted_is_no_part_of_the_image(self, tmp_path: Path, write: Write) -> None:
        write("etc/hostname")
        found = before_boot(tmp_path)
        found.mounts = {"/etc/hostname"}
        assert look(found, entry("/etc/hostname", "blank", "same")) == []

    def test_every_entry_of_the_roles_list_is_understood(self, tmp_path: Path, write: Write) -> None:
        for each in SEAL_PATHS:
            assert each["sealed"] in ("absent", "blank", "vacant", "stale", "no_files")
            path = each["path"].replace("*", "one")
            write(path.lstrip("/") + ("" if each["sealed"] in ("absent", "blank") else "/one"))
        missed = [each["path"] for each in SEAL_PATHS if not look(before_boot(tmp_path), each)]
        assert missed == []


class TestKeysAndSecrets:
    def test_the_boot_tests_own_key_may_be_there_in_any_form(self, tmp_path: Path, write: Write) -> None:
        write(
            "root/.ssh/authorized_keys", f'# by cloud-init\nno-pty,command="echo no" {HOST_KEY} operator\n\n'
        )
        write("home/admin/.ssh/authorized_keys", f"{HOST_KEY}\n")
        found = after_boot(tmp_path)
        found.look_for_keys([f"{HOST_KEY} operator"])
        assert found.found == {}

    def test_another_key_is_found_however_new(self, tmp_path: Path, write: Write) -> None:
        write("home/admin/.ssh/authorized_keys", f"{HOST_KEY}\n{NOBODY}\n")
        found = after_boot(tmp_path)
        found.look_for_keys([HOST_KEY])
        assert list(found.found) == ["/home/admin/.ssh/authorized_keys"]
        assert "builder" in found.found["/home/admin/.ssh/authorized_keys"]

    @pytest.mark.parametrize(
        ("password", "is_found"),
        [("!", False), ("*", False), ("!*", False), ("$y$j9T$abc", True), ("", True)],
    )
    def test_an_account_with_a_password_is_found(
        self, tmp_path: Path, write: Write, password: str, is_found: bool
    ) -> None:
        write("etc/shadow", f"root:*:1::::::\nadmin:{password}:1::::::\n")
        found = before_boot(tmp_path)
        found.look_for_passwords()
        assert bool(found.found) is is_found

    @pytest.mark.parametrize(
        ("body", "is_found"),
        [
            ("-----BEGIN OPENSSH " + "PRIVATE KEY-----\n", True),
            ("-----BEGIN RSA " + "PRIVATE KEY-----\n", True),
            ("-----BEGIN " + "PRIVATE KEY-----\n", True),
            ("-----BEGIN CERTIFICATE-----\n", False),
            ("id = AKIA" + "ABCDEFGHIJKLMNOP\n", True),
            ("aws_secret_access_key = abc\n", True),
            ("# aws_secret_access_key =\n", False),
            ("nothing to see\n", False),
        ],
    )
    def test_secrets_are_found_by_what_they_look_like(
        self, tmp_path: Path, write: Write, body: str, is_found: bool
    ) -> None:
        path = write("srv/app.conf", f"first line\n{body}")
        found, fresh = before_boot(tmp_path), after_boot(tmp_path)
        found.look_for_secrets([path])
        fresh.look_for_secrets([path])
        assert bool(found.found) is is_found
        assert fresh.found == {}


class TestProgram:
    def test_it_needs_nothing_but_the_standard_library(self) -> None:
        tree = ast.parse(Path(probe.__file__).read_text())
        names = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert names <= sys.stdlib_module_names

    def test_it_runs_from_its_input_with_what_it_is_asked(self) -> None:
        """The look around itself is left out: this is no fresh machine."""
        program = probe_program(
            seal_paths=[entry('/it\'s "quoted" \\ ü', "absent", "same")],
            checks=[Check("a", "echo 'it''s'")],
            public_keys=[HOST_KEY],
            start_timeout_s=5,
        )
        instead = b"\ndef report(request):\n    return request\n"
        call = program.rindex(b"\nmain(")
        result = subprocess.run(
            [sys.executable, "-"],
            input=program[:call] + instead + program[call:],
            capture_output=True,
            check=True,
        )
        assert yaml.safe_load(result.stdout) == {
            "seal_paths": [entry('/it\'s "quoted" \\ ü', "absent", "same")],
            "checks": [{"name": "a", "command": "echo 'it''s'", "timeout_s": 30.0}],
            "public_keys": [HOST_KEY],
            "start_timeout_s": 5,
        }


class TestCommands:
    @pytest.mark.parametrize(
        ("command", "status", "output"),
        [
            ("echo out; echo err >&2", 0, "out\nerr"),
            ("exit 3", 3, ""),
            ("sleep 5 & sleep 5", 124, "\nnot done after 0.3 s"),
            ("seq 100", 0, "\n".join(map(str, range(81, 101)))),
        ],
    )
    def test_a_check_is_run_to_its_end_or_killed_with_its_children(
        self, command: str, status: int, output: str
    ) -> None:
        begun = time.monotonic()
        result = probe.check(
            {"name": "a", "command": command, "timeout_s": 0.3 if "sleep" in command else 10}
        )
        assert result == {"name": "a", "status": status, "output": output}
        assert time.monotonic() - begun < 4

    def test_a_program_that_is_not_there_is_no_crash(self) -> None:
        assert probe.run("/nowhere/program")[0] == 127

    def test_the_boot_is_before_this_process(self) -> None:
        assert 0 < probe.boot_time() < time.time()
