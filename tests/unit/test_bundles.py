# SPDX-License-Identifier: Apache-2.0
"""The code of functions: the same sources, the same bytes."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from orchestrator.errors import RemoteError
from orchestrator.tools.bundles import FunctionBundles, install_argv
from orchestrator.tools.process import Processes

# Stands for Python: `-m pip install ... --target FOLDER` leaves what an installation leaves.
PIP = """#!/bin/sh
echo "$@" >> {log}
while [ "$1" != "--target" ]; do shift; done
mkdir -p "$2/PIL/__pycache__" "$2/pillow-12.dist-info" "$2/bin"
echo code > "$2/PIL/Image.py"
echo wheel > "$2/pillow-12.dist-info/METADATA"
echo $$ > "$2/pillow-12.dist-info/RECORD"
echo $$ > "$2/PIL/__pycache__/Image.pyc"
echo $$ > "$2/bin/script"
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def python(tmp_path: Path) -> Path:
    program = tmp_path / "python"
    program.write_text(PIP.format(log=tmp_path / "log"))
    program.chmod(0o755)
    return program


def make_project(folder: Path, handler: str = "handle") -> Path:
    write(folder / "functions/resize/handler.py", handler)
    write(folder / "functions/resize/__init__.py", "")
    write(folder / "functions/resize/requirements.in", "Pillow")
    write(folder / "functions/resize/requirements.lock", "pillow==12 --hash=sha256:0")
    write(folder / "functions/no_function/readme.txt", "")
    return folder


def bundles(project: Path, python: Path) -> FunctionBundles:
    environ = {"PATH": os.environ["PATH"]}
    return FunctionBundles(project, Processes("test"), python=python, environ=environ)


def test_a_bundle_holds_the_package_and_its_wheels_and_nothing_of_the_installer(
    tmp_path: Path, python: Path
) -> None:
    bundle = bundles(make_project(tmp_path / "p"), python).build()["resize"]
    with zipfile.ZipFile(bundle.path) as archive:
        assert archive.namelist() == [
            "PIL/Image.py",
            "pillow-12.dist-info/METADATA",
            "resize/__init__.py",
            "resize/handler.py",
        ]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}


def test_the_same_sources_give_the_same_key_in_any_checkout(tmp_path: Path, python: Path) -> None:
    one, other = (bundles(make_project(tmp_path / name), python).build()["resize"] for name in ("a", "b"))
    assert one.path != other.path
    assert one.path.read_bytes() == other.path.read_bytes()
    assert one.key == other.key
    assert one.key.startswith("functions/resize/")
    changed = bundles(make_project(tmp_path / "c", "changed"), python).build()["resize"]
    assert changed.key != one.key


def test_what_is_built_is_not_built_again(tmp_path: Path, python: Path) -> None:
    project = make_project(tmp_path / "p")
    first = bundles(project, python).build()
    (project / "functions/resize/__pycache__").mkdir()
    (project / "functions/resize/__pycache__/handler.pyc").write_bytes(b"compiled")
    assert bundles(project, python).build() == first
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_an_installation_that_fails_leaves_nothing_to_be_taken_for_a_bundle(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho 'no such hash' >&2\nexit 1\n")
    failing.chmod(0o755)
    with pytest.raises(RemoteError) as caught:
        bundles(project, failing).build()
    assert (caught.value.what, caught.value.output) == ("build function resize", ("no such hash",))
    assert list((project / "build/functions").iterdir()) == []


def test_only_locked_wheels_of_the_runtimes_platform_are_installed() -> None:
    argv = install_argv(Path(sys.executable), Path("/p/requirements.lock"), Path("/p/out"))
    assert argv == [
        sys.executable,
        *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--target", "/p/out", "--requirement", "/p/requirements.lock"),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"),
        *("--implementation", "cp", "--python-version", "3.11", "--platform", "manylinux2014_x86_64"),
    ]
