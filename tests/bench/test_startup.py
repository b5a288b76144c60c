# SPDX-License-Identifier: Apache-2.0
"""How long a command takes before it does anything."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.bench.report import Report, Row, sample

pytestmark = pytest.mark.bench

PROJECT = Path(__file__).resolve().parents[2]
INVOKE = str(PROJECT / ".venv" / "bin" / "invoke")
ROUNDS = 21


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
        plain = seconds(PROJECT, INVOKE, "--version")
        rounds.append((bare, own, plain, seconds(PROJECT, str(PROJECT / "inv"), "--version")))
    bares, owns, plains, wrapped = zip(*rounds[1:], strict=True)  # the first round fills caches
    added = [with_inv - without for without, with_inv in zip(plains, wrapped, strict=True)]
    fastest = 1000 * (min(wrapped) - min(plains))
    report.add(
        "startup",
        (
            sample("`./inv --list`", owns, unit="s"),
            sample("`invoke --list`, empty tasks.py", bares, unit="s"),
            sample(
                "ratio of the two, per round",
                [own / bare for bare, own in zip(bares, owns, strict=True)],
                unit="",
                target="<= 1.5",
            ),
            Row(
                "what `./inv` adds to `.venv/bin/invoke`",
                f"{1000 * statistics.median(added):.0f} ms",
                f"median of pairs; {fastest:.0f} ms between the fastest of {len(added)} runs each",
                "< 50 ms",
            ),
        ),
    )
