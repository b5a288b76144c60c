# SPDX-License-Identifier: Apache-2.0
"""The project's own checks: what `invoke test`, `lint`, `bench`, `lock` and `docs` run, as data."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import RemoteError
from orchestrator.tools import process

PYTHON_FILES = ("orchestrator", "sandbox", "tests", "roles", "tasks.py")
SHELL_FILES = ("inv", ".ci/run")
LAST_LINES = 40


@dataclass(frozen=True, slots=True)
class Check:
    """One program that has to end with 0."""

    name: str
    argv: tuple[str, ...]
    needs_machines: bool = False


def _pytest(name: str, *arguments: str, needs_machines: bool = False) -> Check:
    return Check(name, ("pytest", "-q", *arguments), needs_machines)


LINT = (
    Check("ruff check", ("ruff", "check", *PYTHON_FILES)),
    Check("ruff format", ("ruff", "format", "--check", *PYTHON_FILES)),
    Check("mypy", ("mypy",)),
    Check("yamllint", ("yamllint", "--strict", ".")),
    Check("shellcheck", ("shellcheck", *SHELL_FILES)),
    Check("shfmt", ("shfmt", "-i", "4", "-d", *SHELL_FILES)),
    Check("packer fmt", ("packer", "fmt", "-check", "packer")),
    Check("ansible-lint", ("ansible-lint", "--offline", "--config-file", ".config/ansible-lint.yml")),
)
COMPILE = ("uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate")
LOCK = (*COMPILE, "--python-version", "3.11", "requirements.in", "--output-file", "requirements.lock")
WRITE_READMES = "from pathlib import Path; from roles.readme import write_all; write_all(Path('roles'))"
UNIT = _pytest("unit and contract", "tests/unit", "tests/contract")
SANDBOX = _pytest("real machines", "-m", "sandbox", "tests/sandbox", needs_machines=True)
SELECTIONS: dict[str, tuple[Check, ...]] = {
    "lint": LINT,
    "fast": (*LINT[:-1], UNIT),
    "all": (*LINT, UNIT, SANDBOX),
    "bench": (Check("bench", ("pytest", "-q", "-s", "-m", "bench", "tests/bench"), needs_machines=True),),
    "docs": (Check("role READMEs", ("python", "-c", WRITE_READMES)),),
    "lock": (Check("requirements.lock", LOCK),),
}


def run(project: Path, selection: str, environ: Mapping[str, str]) -> None:
    """Run the checks of a selection, one after the other, and print how each ended.

    Raises:
        RemoteError: at least one failed; all were run.
    """
    outcomes = [(check, *_run(project, check, environ)) for check in SELECTIONS[selection]]
    sys.stderr.write("\n")
    for check, status, seconds in outcomes:
        sys.stderr.write(f"{'ok    ' if status == 0 else 'FAILED'} {seconds:6.1f} s  {check.name}\n")
    failed = [check for check, status, _ in outcomes if status]
    if failed:
        raise RemoteError(
            f"{selection}: {', '.join(check.name for check in failed)}",
            status=1,
            next_command=" ".join(failed[0].argv),
        )


def _run(project: Path, check: Check, environ: Mapping[str, str]) -> tuple[int, float]:
    sys.stderr.write(f"-- {check.name}\n")
    sys.stderr.flush()
    begun = time.monotonic()
    status = process.attend(_argv(project, check.argv), cwd=project, environ=environ)
    return status, time.monotonic() - begun


def _argv(project: Path, argv: Sequence[str]) -> list[str]:
    own = project / ".venv" / "bin" / argv[0]
    return [str(own) if own.exists() else shutil.which(argv[0]) or argv[0], *argv[1:]]
