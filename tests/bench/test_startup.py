# SPDX-License-Identifier: Apache-2.0
"""How long a command takes before it does anything."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.bench.report import Report, sample

pytestmark = pytest.mark.bench

PROJECT = Path(__file__).resolve().parents[2]
INVOKE = str(PROJECT / ".venv" / "bin" / "invoke")
ROUNDS = 15


def test_startup(report: Report, operator_environ: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("")

    def seconds(folder: Path, *argv: str, status: int = 0) -> float:
        begun = time.perf_counter()
        done = subprocess.run(argv, cwd=folder, env=operator_environ, capture_output=True, check=False)
        assert done.returncode == status, done
        return time.perf_counter() - begun

    rounds = []
    # One after the other in each round, so that whatever else the machine does hits all of them.
    for _ in range(ROUNDS + 1):
        bare = seconds(tmp_path, INVOKE, "--list", status=1)  # "No tasks found"
        own = seconds(PROJECT, str(PROJECT / "inv"), "--list")
        rounds.append(
            (bare, own, seconds(PROJECT, INVOKE, "--version"), seconds(PROJECT, "./inv", "--version"))
        )
    rounds = rounds[1:]  # the first one fills caches
    report.add(
        "startup",
        (
            sample("`./inv --list`", [own for _, own, _, _ in rounds], unit="s"),
            sample("`invoke --list`, empty tasks.py", [bare for bare, _, _, _ in rounds], unit="s"),
            sample(
                "ratio of the two, per round",
                [own / bare for bare, own, _, _ in rounds],
                unit="",
                target="<= 1.5",
            ),
            sample(
                "what `./inv` adds to `.venv/bin/invoke`",
                [1000 * (ours - plain) for _, _, plain, ours in rounds],
                unit="ms",
                target="< 50 ms",
                digits=0,
            ),
        ),
    )
