# SPDX-License-Identifier: Apache-2.0
"""The first run of ./inv on a machine that has next to nothing, and every later one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
# What a shell script may count on anywhere.
BASICS = ("sh", "dirname", "cmp", "tr", "cat", "cp", "mkdir", "chmod", "env")
APT = '#!/bin/sh\necho "apt-get $*" >>"$RECORD"\n'
# Stands for the system's Python: it is new enough, and what it calls a venv only records.
PYTHON = """#!/bin/sh
case "$*" in
"-m venv "*)
    mkdir -p "$3/bin"
    printf '#!/bin/sh\\necho "python $*" >>"$RECORD"\\n' >"$3/bin/python"
    printf '#!/bin/sh\\necho "invoke $*"\\nexit 7\\n' >"$3/bin/invoke"
    chmod +x "$3/bin/python" "$3/bin/invoke"
    ;;
esac
"""


class BareMachine:
    """A checkout on a machine whose PATH holds the basics only."""

    def __init__(self, path: Path) -> None:
        self.checkout, self.binaries, self.record = path / "checkout", path / "bin", path / "record"
        # The folder packer/ is not the program packer.
        (self.checkout / "packer").mkdir(parents=True)
        shutil.copy2(PROJECT / "inv", self.checkout)
        (self.checkout / "requirements.lock").write_text("locked\n")
        (self.checkout / "requirements-checkov.lock").write_text("locked apart\n")
        self.binaries.mkdir()
        for name in BASICS:
            found = shutil.which(name)
            assert found
            (self.binaries / name).symlink_to(found)
        self.add("python3", PYTHON)
        self.add("id", "#!/bin/sh\necho 0\n")

    def add(self, name: str, text: str) -> None:
        (self.binaries / name).write_text(text)
        (self.binaries / name).chmod(0o755)

    def inv(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / "inv", *words],
            env={"PATH": str(self.binaries), "RECORD": str(self.record)},
            capture_output=True,
            text=True,
            check=False,
        )

    def recorded(self) -> list[str]:
        return self.record.read_text().splitlines() if self.record.exists() else []


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path) -> BareMachine:
    return BareMachine(tmp_path)


def test_the_first_run_installs_what_is_missing_and_says_so(machine: BareMachine) -> None:
    machine.add("apt-get", APT)
    done = machine.inv("--list")
    update, install, packages = machine.recorded()
    assert update == "apt-get update -qq"
    assert install.startswith("apt-get install -qq -y --no-install-recommends ")
    assert {"packer", "podman", "shellcheck", "shfmt"} <= set(install.split())
    assert "--require-hashes -r requirements.lock" in packages
    assert "inv: installing system tools with apt: podman" in done.stderr
    assert (done.stdout, done.returncode) == ("invoke --list\n", 7)


def test_later_runs_only_run_invoke(machine: BareMachine) -> None:
    machine.add("apt-get", APT)
    machine.inv()
    machine.record.unlink()
    done = machine.inv("bake-ami", "--server-class", "a b")
    assert (done.stdout, done.returncode) == ("invoke bake-ami --server-class a b\n", 7)
    assert machine.recorded() == []


def test_another_lock_is_installed(machine: BareMachine) -> None:
    machine.add("apt-get", APT)
    machine.inv()
    machine.record.unlink()
    (machine.checkout / "requirements.lock").write_text("another\n")
    machine.inv()
    assert any("--require-hashes" in line for line in machine.recorded())


def test_the_scanner_s_own_packages_are_installed_for_the_first_proof_only(machine: BareMachine) -> None:
    machine.add("apt-get", APT)
    machine.inv("--list")
    machine.record.unlink()
    machine.inv("gc")
    assert machine.recorded() == []
    done = machine.inv("test", "--fast")
    assert [line.endswith("-r requirements-checkov.lock") for line in machine.recorded()] == [True]
    assert (done.stdout, done.returncode) == ("invoke test --fast\n", 7)
    machine.record.unlink()
    machine.inv("lint")
    assert machine.recorded() == []


def test_without_apt_it_names_the_packages_and_stops(machine: BareMachine) -> None:
    done = machine.inv("--list")
    assert (done.returncode, done.stdout) == (3, "")
    assert "error: system tools are missing: podman" in done.stderr
    assert " packer " in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_an_installation_that_fails_stops_it_and_is_tried_again(machine: BareMachine) -> None:
    machine.add("apt-get", "#!/bin/sh\nexit 100\n")
    assert machine.inv().returncode == 3
    assert machine.inv().returncode == 3


def test_an_old_python_is_refused(machine: BareMachine) -> None:
    machine.add("apt-get", APT)
    machine.add("python3", '#!/bin/sh\ncase "$*" in *version_info*) exit 1 ;; esac\n')
    done = machine.inv()
    assert (done.returncode, "Python 3.11 or newer is needed" in done.stderr) == (3, True)
