# SPDX-License-Identifier: Apache-2.0
"""The Debian image: what must not be in it, and a build that is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from sandbox.machines import debian, mirror
from sandbox.machines.host import HostSubstrate

pytestmark = pytest.mark.sandbox

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
BUILD = """
import sys
from pathlib import Path
from sandbox.machines import debian, mirror
with debian.alone(Path(sys.argv[1])):
    debian.build(mirror.of_host(), Path(sys.argv[2]), print)
"""


@pytest.fixture(scope="module")
def image_root(substrate: HostSubstrate) -> Iterator[Path]:
    """The image's files."""
    substrate.install_public_image("ami-public")
    image = substrate.names.image("ami-public")
    mounted = subprocess.run(["podman", "image", "mount", image], capture_output=True, text=True, check=True)
    try:
        yield Path(mounted.stdout.strip())
    finally:
        subprocess.run(["podman", "image", "unmount", image], capture_output=True, check=True)


@pytest.mark.parametrize(
    "pattern",
    [
        "etc/ssh/ssh_host_*", "etc/dpkg/dpkg.cfg.d/unsafe-io", "usr/sbin/policy-rc.d", "var/lib/apt/lists/*",
        "var/cache/apt/archives/*.deb", "var/lib/cloud/instance", "var/lib/dbus/machine-id", "var/log/*.log",
        "root/.ssh/*", "root/.wget-hsts", "home/*", "etc/apt/sources.list",
    ],
)  # fmt: skip
def test_image_has_nothing_of_its_build(image_root: Path, pattern: str) -> None:
    assert list(image_root.glob(pattern)) == []


def test_image_has_no_identity(image_root: Path) -> None:
    assert (image_root / "etc/machine-id").read_text() == ""
    assert (image_root / "etc/hostname").read_text() == ""


def test_image_gets_packages_from_where_the_host_does(image_root: Path) -> None:
    sources = (image_root / "etc/apt/sources.list.d/debian.sources").read_text()
    assert f"URIs: {mirror.of_host().archive or ''}" in sources
    assert "Suites: bookworm bookworm-updates\n" in sources
    assert "Suites: bookworm-security\n" in sources


def test_image_lets_nobody_in_by_password(image_root: Path) -> None:
    shadow = (image_root / "etc/shadow").read_text().splitlines()
    assert {line.split(":")[1][0] for line in shadow} <= {"*", "!"}


def test_the_same_recipe_is_the_same_image() -> None:
    source = mirror.of_host()
    assert debian.recipe_key(source) == debian.recipe_key(source)
    assert debian.recipe_key(source) != debian.recipe_key(mirror.Mirror("http://other.example/debian", None))


def test_killed_build_leaves_no_process_and_no_archive(substrate: HostSubstrate, tmp_path: Path) -> None:
    archive = tmp_path / "debian.tar"
    before = set(debian.WORK_DIR.glob("*"))
    builder = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(substrate.names.cache_dir), str(archive)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
    )
    assert builder.stdout is not None
    with builder, builder.stdout:
        builder.stdout.readline()
        made = _wait_for(lambda: set(debian.WORK_DIR.glob("*")) - before)
        assert len(made) == 1
        work = made.pop()
        assert _wait_for(lambda: _processes(f"debootstrap --variant=minbase bookworm {work}"))
        builder.send_signal(signal.SIGKILL)
    assert _wait_for(lambda: not _processes(str(work)))
    assert not archive.exists()
    shutil.rmtree(work)


def _processes(text: str) -> list[str]:
    listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if text in line]


def _wait_for(look: Callable[[], T]) -> T:
    deadline = time.monotonic() + 20
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen
