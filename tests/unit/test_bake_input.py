# SPDX-License-Identifier: Apache-2.0
"""Bad input to `invoke bake-ami`: what is told, all at once, before anything is called."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import Context
from orchestrator.errors import ConfigError
from tests.unit.bake_world import write_project

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENT = "environments/sandbox.yaml"
IMAGES = "packer/images.yaml"


@pytest.fixture(name="project")
def fixture_project(tmp_path: Path) -> Path:
    """A project of base and api, with the real environment of the local region."""
    write_project(tmp_path, {"base": None, "api": "base"})
    for path in (ENVIRONMENT, "networks/sandbox.yaml"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / path, tmp_path / path)
    return tmp_path


@pytest.fixture(name="region", autouse=True)
def fixture_region(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A region that nobody may call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        monkeypatch.setenv("SLIPWAY_SANDBOX_PORT", str(listener.getsockname()[1]))
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


def told(project: Path, *server_classes: str, environment: str = "sandbox") -> tuple[str, ...]:
    """Bake, and return what is wrong."""
    with pytest.raises(ConfigError) as failure:
        Context(project).bake_ami(
            environment, server_classes=server_classes, dry_run=False, force=False, as_json=False
        )
    assert failure.value.exit_code == 3
    return failure.value.problems


def change(project: Path, path: str, old: str, new: str) -> None:
    """Change a file of the project."""
    text = (project / path).read_text()
    assert old in text
    (project / path).write_text(text.replace(old, new))


def test_unknown_classes(project: Path) -> None:
    assert told(project, "base", "nobody", "elsewhere") == (
        f"{IMAGES}: classes.elsewhere: there is no such class; there are api, base",
        f"{IMAGES}: classes.nobody: there is no such class; there are api, base",
    )


def test_unknown_environment(project: Path) -> None:
    assert told(project, environment="staging") == (
        "environments/staging.yaml: does not exist; there are sandbox",
    )


# case -> file, what is there, what is there instead, what is told
CASES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "a cycle": (
        IMAGES,
        "source:\n      name: debian-12-amd64-*\n      owner: '136693071363'",
        "parent: api",
        (f"{IMAGES}: classes.api: is its own ancestor: api -> base -> api",),
    ),
    "a parent that is not there": (
        IMAGES,
        "parent: base",
        "parent: basis",
        (f"{IMAGES}: classes.api: its parent basis is no class",),
    ),
    "a role that is missing": (
        "playbooks/images/api.yml",
        "do_api",
        "do_apy",
        (f"{IMAGES}: classes.api: playbooks/images/api.yml: role do_apy: does not exist in roles/",),
    ),
    "a playbook that is missing": (
        IMAGES,
        "playbooks/images/api.yml",
        "playbooks/images/apy.yml",
        (f"{IMAGES}: classes.api: playbooks/images/apy.yml: does not exist",),
    ),
    "a typo in the environment": (
        ENVIRONMENT,
        "config_bucket:",
        "config_bukket:",
        (
            f"{ENVIRONMENT}: config_bucket: is missing",
            f"{ENVIRONMENT}: config_bukket: unknown key, did you mean config_bucket?",
        ),
    ),
    "a key that is there twice": (
        ENVIRONMENT,
        "region: us-east-1",
        "region: us-east-1\nregion: eu-west-1",
        (f"{ENVIRONMENT}: region: is there twice, in lines 3 and 4",),
    ),
    "a class that is there twice": (
        IMAGES,
        "classes:\n",
        "classes:\n  base: {parent: api, playbook: playbooks/images/api.yml}\n",
        (f"{IMAGES}: classes.base: is there twice, in lines 2 and 6",),
    ),
    "a wrong type": (
        ENVIRONMENT,
        'account_id: "123456789012"',
        "account_id: 123456789012",
        (f"{ENVIRONMENT}: account_id: must be a string, in quotes where it is a number",),
    ),
    "a wrong type deeper down": (
        ENVIRONMENT,
        "encrypted_root: false",
        "encrypted_root: false\n  timeout_minutes: soon",
        (f"{ENVIRONMENT}: bake.timeout_minutes: must be a valid integer",),
    ),
    "two at once": (
        ENVIRONMENT,
        'region: us-east-1\naccount_id: "123456789012"',
        "region: mars\naccount_id: 12",
        (
            f"{ENVIRONMENT}: region: must match pattern '^[a-z]{{2}}(-[a-z]+)+-[0-9]$'",
            f"{ENVIRONMENT}: account_id: must be a string, in quotes where it is a number",
        ),
    ),
    "a network that is missing": (
        ENVIRONMENT,
        "network: sandbox",
        "network: sandpit",
        (f"{ENVIRONMENT}: network: networks/sandpit.yaml does not exist",),
    ),
    "no YAML": (
        ENVIRONMENT,
        "network: sandbox",
        "network: [",
        (f"{ENVIRONMENT}: line 4: did not find expected ',' or ']'",),
    ),
}


@pytest.mark.parametrize(("path", "old", "new", "expected"), CASES.values(), ids=CASES)
def test_a_file_that_is_wrong(
    project: Path, path: str, old: str, new: str, expected: tuple[str, ...]
) -> None:
    change(project, path, old, new)
    assert told(project) == expected


def test_the_command_ends_with_3_and_leaves_nothing(project: Path) -> None:
    for name in ("orchestrator", "tasks.py"):
        (project / name).symlink_to(CHECKOUT / name)
    before = sorted(project.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "bake-ami", "--server-class", "nobody"],
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1] == "state: nothing was called."
    assert "classes.nobody: there is no such class" in done.stderr
    assert sorted(project.rglob("*")) == before
