# SPDX-License-Identifier: Apache-2.0
"""Commands start quickly: nothing heavy is imported to list them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# PyYAML is not among them: invoke itself imports it.
HEAVY = (
    "boto3",
    "botocore",
    "ansible",
    "rich",
    "moto",
    "pydantic",
    "paramiko",
    "asyncssh",
    "sandbox",
    "troposphere",
)


def test_listing_the_commands_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from invoke import Collection\n"
        "import tasks\n"
        "assert isinstance(tasks.namespace, Collection)\n"
        "print('\\n'.join(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert sorted(set(HEAVY) & set(done.stdout.split())) == []


def test_every_command_is_listed_with_its_first_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--list"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    for command in (
        "bake-ami",
        "gc",
        "provision",
        "drift",
        "destroy",
        "rollout.start",
        "rollout.status",
        "rollout.history",
        "demo",
        "test",
        "lint",
        "sandbox.up",
        "sandbox.reset",
    ):
        line = next(line for line in done.stdout.splitlines() if line.split()[:1] == [command])
        assert len(line.split()) > 2, line
