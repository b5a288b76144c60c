# SPDX-License-Identifier: Apache-2.0
"""The project's own checks: what `invoke test`, `lint`, `bench`, `lock` and `docs` run, as data."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import RemoteError
from orchestrator.tools import process

PYTHON_FILES = ("orchestrator", "sandbox", "stacks", "functions", "tests", "roles", "tasks.py")
SHELL_FILES = ("inv", ".ci/run")
ANSIBLE_FILES = ("roles", "playbooks", "examples", ".config/molecule")
COMPILE = ("uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate")
LOCKS = ("requirements", "requirements-checkov")
WRITE_READMES = "from pathlib import Path; from roles.readme import write_all; write_all(Path('roles'))"
TEMPLATES = "build/templates"
LINT_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Check:
    """One program that has to end with 0."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Quiet checks run beside the others and are shown when they fail; the others have the terminal."""

    quiet: tuple[Check, ...] = ()
    shown: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a check ended."""

    check: Check
    status: int
    seconds: float
    output: str = ""


def _lock(name: str) -> Check:
    files = (f"{name}.in", "--output-file", f"{name}.lock")
    return Check(f"{name}.lock", (*COMPILE, "--python-version", "3.11", *files))


# Each reads what the first one writes.
TEMPLATE_LINT = (
    Check("templates of stacks", ("python", "-m", "stacks.write", TEMPLATES)),
    Check("cfn-lint", ("cfn-lint", f"{TEMPLATES}/*.json")),
    Check(
        "checkov",
        # In an environment of its own, which ./inv makes; it asks nobody for anything.
        (
            *(".venv/checkov/bin/checkov", "--directory", TEMPLATES, "--framework", "cloudformation"),
            *("--quiet", "--compact", "--skip-download", "--skip-results-upload"),
        ),
    ),
)
LINT = (
    Check("ruff check", ("ruff", "check", *PYTHON_FILES)),
    Check("ruff format", ("ruff", "format", "--check", *PYTHON_FILES)),
    Check("yamllint", ("yamllint", "--strict", ".")),
    Check("shellcheck", ("shellcheck", *SHELL_FILES)),
    Check("shfmt", ("shfmt", "-i", "4", "-d", *SHELL_FILES)),
    Check("packer fmt image", ("packer", "fmt", "-check", "packer/image.pkr.hcl")),
    Check("packer fmt plugins", ("packer", "fmt", "-check", "packer/plugins.pkr.hcl")),
    Check("mypy", ("mypy",)),
    *TEMPLATE_LINT,
)
ANSIBLE_LINT = Check(
    "ansible-lint", ("ansible-lint", "--offline", "-q", "-c", ".config/ansible-lint.yml", *ANSIBLE_FILES)
)
# What hangs is ended, with the stacks of all threads; tests of machines so that they still remove them.
_SIDE_BY_SIDE = ("pytest", "-q", "-n", "2", "--timeout", "300", "--timeout-method", "thread")
FAST = Check("units and contracts", (*_SIDE_BY_SIDE, "tests/unit", "tests/contract"))
REGION = Check("the region without machines", (*_SIDE_BY_SIDE, "--durations=10", "tests/region"))
# One by one by name, and always in the same order: machines that tests share are then made once.
MACHINES = Check(
    "machines and roles",
    (
        *("pytest", "-v", "--no-header", "-p", "no:randomly", "-m", "sandbox", "--durations=15"),
        *("--timeout", "1500", "--timeout-method", "signal", "tests/sandbox"),
    ),
)
SELECTIONS = {
    "lint": Selection(quiet=(*LINT, ANSIBLE_LINT)),
    "fast": Selection(quiet=LINT, shown=(FAST,)),
    "all": Selection(quiet=(*LINT, ANSIBLE_LINT), shown=(FAST, REGION, MACHINES)),
    "bench": Selection(shown=(Check("bench", ("pytest", "-q", "-s", "-m", "bench", "tests/bench")),)),
    "docs": Selection(
        quiet=(
            Check("READMEs of roles", ("python", "-c", WRITE_READMES)),
            Check("the architecture", ("python", "-m", "stacks.document")),
            Check("the checks before a rollout", ("python", "-m", "orchestrator.documents.preflight")),
            Check("pictures of rollouts", ("python", "-m", "orchestrator.documents.rollouts")),
            Check("the picture of access", ("python", "-m", "orchestrator.documents.access")),
        )
    ),
    "lock": Selection(quiet=tuple(_lock(name) for name in LOCKS)),
}


def run(project: Path, selection: str, environ: Mapping[str, str]) -> None:
    """Run the checks of a selection and print how each ended.

    Raises:
        RemoteError: at least one failed; all were run.
    """
    chosen = SELECTIONS[selection]
    with ThreadPoolExecutor(max_workers=1) as beside:
        quiet = beside.submit(lambda: [_run_quietly(project, check, environ) for check in chosen.quiet])
        shown = [_run_shown(project, check, environ) for check in chosen.shown]
        outcomes = [*quiet.result(), *shown]
    for outcome in outcomes:
        if outcome.status and outcome.output:
            sys.stderr.write(f"\n-- {outcome.check.name}\n{outcome.output}\n")
    sys.stderr.write("\n")
    for outcome in outcomes:
        word = "FAILED" if outcome.status else "ok"
        sys.stderr.write(f"{word:6} {outcome.seconds:6.1f} s  {outcome.check.name}\n")
    failed = [outcome.check for outcome in outcomes if outcome.status]
    if failed:
        names = ", ".join(check.name for check in failed)
        raise RemoteError(f"{selection}: {names}", status=1, next_command=" ".join(failed[0].argv))


def _run_quietly(project: Path, check: Check, environ: Mapping[str, str]) -> Outcome:
    begun = time.monotonic()
    done = process.Processes(check.name).run(
        check.argv, cwd=project, environ=environ, timeout_s=LINT_TIMEOUT_S
    )
    return Outcome(check, done.status, time.monotonic() - begun, done.stdout + done.stderr)


def _run_shown(project: Path, check: Check, environ: Mapping[str, str]) -> Outcome:
    sys.stderr.write(f"-- {check.name}\n")
    sys.stderr.flush()
    begun = time.monotonic()
    status = process.attend(check.argv, cwd=project, environ=environ)
    return Outcome(check, status, time.monotonic() - begun)
