# SPDX-License-Identifier: Apache-2.0
"""Build the code of Lambda functions: the same sources give the same bytes, so the key tells the content.

A bundle is a zip with the function's package and the wheels of its requirements.lock for the runtime's
platform, whatever this machine is.
https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.errors import RemoteError
from orchestrator.ports import Bundle
from orchestrator.tools.process import Processes

LOCK = "requirements.lock"
PYTHON_VERSION = "3.11"
# The runtime python3.11 is Amazon Linux 2, with glibc 2.26: newer wheels would fail at the first call.
PLATFORM = "manylinux2014_x86_64"
_TIMEOUT_S = 300.0
_OUTPUT_LINES = 10
# ZIP knows no earlier time; which one it is does not matter, as long as it is always the same.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16
# What an installation leaves beside the code depends on the installer.
_OF_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


class FunctionBundles:
    """The functions of a project: every folder of functions/ that has a lock."""

    def __init__(
        self, project: Path, programs: Processes, *, python: Path, environ: Mapping[str, str]
    ) -> None:
        self._functions = project / "functions"
        self._cache = project / "build" / "functions"
        self._programs = programs
        self._python = python
        self._environ = environ

    def build(self) -> Mapping[str, Bundle]:
        """Return the code of every function by name; the same sources are built only once."""
        locks = sorted(self._functions.glob(f"*/{LOCK}"))
        return {lock.parent.name: self._bundle(lock.parent) for lock in locks}

    def _bundle(self, folder: Path) -> Bundle:
        path = self._cache / f"{folder.name}-{_fingerprint(folder)}.zip"
        if not path.is_file():
            self._make(folder, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Bundle(folder.name, f"functions/{folder.name}/{digest}.zip", path)

    def _make(self, folder: Path, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as scratch:
            installed = Path(scratch) / "installed"
            self._install(folder, installed)
            unfinished = Path(scratch) / path.name
            files = {file.relative_to(installed).as_posix(): file for file in _code(installed)}
            files |= {f"{folder.name}/{file.relative_to(folder)}": file for file in _code(folder)}
            _write_zip(unfinished, files)
            unfinished.rename(path)

    def _install(self, folder: Path, target: Path) -> None:
        argv = install_argv(self._python, folder / LOCK, target)
        result = self._programs.run(argv, cwd=folder, environ=self._environ, timeout_s=_TIMEOUT_S)
        if result.status != 0:
            lines = tuple(result.stderr.splitlines()[-_OUTPUT_LINES:])
            raise RemoteError(
                f"build function {folder.name}",
                status=result.status,
                output=lines,
                state="nothing was changed",
                next_command="see that the package index can be reached, then repeat the command",
            )


def install_argv(python: Path, lock: Path, target: Path) -> list[str]:
    """Return the command that installs the locked wheels, and nothing that is not locked by its hash."""
    return [
        *(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--target", str(target), "--requirement", str(lock)),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"),
        *("--implementation", "cp", "--python-version", PYTHON_VERSION, "--platform", PLATFORM),
    ]


def _fingerprint(folder: Path) -> str:
    """Return what tells one state of a function's sources from another, and of how they are packed."""
    digest = hashlib.sha256("\0".join(install_argv(Path(), Path(LOCK), Path())).encode())
    for file in (*_code(folder), folder / LOCK):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(folder)}\0{content}\n".encode())
    return digest.hexdigest()[:32]


def _code(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        relative = file.relative_to(folder)
        is_code = file.name not in _OF_INSTALLER and not file.name.startswith("requirements.")
        if file.is_file() and is_code and relative.parts[0] != "bin" and "__pycache__" not in relative.parts:
            yield file


def _write_zip(path: Path, files: Mapping[str, Path]) -> None:
    """Write the files as they are: compressed, the bytes would depend on this machine's zlib."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = _MODE
            entry.create_system = 3  # Unix: what the modes are of
            archive.writestr(entry, files[name].read_bytes())
