# SPDX-License-Identifier: Apache-2.0
"""Write the pictures of docs/rollouts.md, of two examples: `python -m orchestrator.documents.rollouts`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator.domain.forecast.course import Spread
from orchestrator.domain.refresh import RefreshPreferences
from orchestrator.domain.rollout.progress import FailureKind, MachineFailure
from orchestrator.domain.rollout.record import Happened, Note, Phase, RolloutRecord
from orchestrator.domain.rollout.timeline import draw

FOLDER = Path("docs/diagrams")
_BEGUN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def _note(at_s: float, what: Happened, says: str) -> Note:
    return Note(_BEGUN + timedelta(seconds=at_s), what, says)


_OLD, _NEW, _TEMPLATE = "ami-0a1b2c3d4e5f60718", "ami-0f2e4d6c8b0a19283", "lt-0a1b2c3d4e5f60718"
_BAD = ("i-0d4e6f8091a2b3c4d", "i-0e5f708192a3b4c5d")
_SAYS = "the balancer says unhealthy (Target.Timeout)"
_BEGINNING = (
    _note(0, Happened.BEGUN, f"{_OLD} to {_NEW}"),
    _note(2, Happened.VERSION, f"version 12 of {_TEMPLATE}, with {_NEW}"),
    _note(3, Happened.REFRESH, "refresh 7b9c41c2-38c8-4f7e-9d0b-6a3f1e2d5c4b replaces 8 machines"),
    _note(130, Happened.CHECKPOINT, "checkpoint 25 %"),
)
ROLLED = RolloutRecord(
    rollout_id="rollout-20260302T093000-a1b2c3",
    environment="production",
    fleet="api",
    group="slipway-production-api",
    begun_by="ann@laptop",
    begun_at=_BEGUN,
    template_id=_TEMPLATE,
    old_version=11,
    new_version=12,
    old_ami_id=_OLD,
    new_ami_id=_NEW,
    preferences=RefreshPreferences(
        max_healthy_percentage=150,
        instance_warmup_s=60,
        checkpoint_percentages=(25, 50, 100),
        checkpoint_delay_s=300,
    ),
    max_failures=2,
    predicted_s=Spread(900, 990, 1200),
    phase=Phase.SUCCEEDED,
    machines=8,
    notes=(
        *_BEGINNING,
        _note(470, Happened.FAILURE, "i-0c3d5e7f90a1b2c3d: launch: InsufficientInstanceCapacity"),
        _note(640, Happened.CHECKPOINT, "checkpoint 50 %"),
        _note(700, Happened.PROMOTED, "ann@laptop goes on past checkpoint 50 %"),
        _note(703, Happened.REFRESH, "refresh 0e7d52aa-91f4-4c1d-8a45-c2b7f6e0d913 replaces 8 machines"),
        _note(985, Happened.VERIFYING, "all machines are replaced; verifying them"),
        _note(990, Happened.POINTER, f"/slipway/production/api/ami is {_NEW}, and version 12 the default"),
        _note(992, Happened.ENDED, f"succeeded: every machine runs {_NEW}, version 12"),
    ),
    outcome=f"every machine runs {_NEW}, version 12",
    ended_at=_BEGUN + timedelta(seconds=992),
)
_FAILURES = tuple(
    MachineFailure(name, FailureKind.TARGET_HEALTH, _SAYS, _BEGUN + timedelta(seconds=190 + 15 * at))
    for at, name in enumerate(_BAD)
)
TAKEN_BACK = replace(
    ROLLED,
    rollout_id="rollout-20260303T093000-d4e5f6",
    phase=Phase.ROLLED_BACK,
    failures=_FAILURES,
    notes=(
        *_BEGINNING,
        *(Note(each.at, Happened.FAILURE, each.line()) for each in _FAILURES),
        _note(206, Happened.ROLLBACK, f"taken back: 2 new machines failed: {', '.join(_BAD)}"),
        _note(355, Happened.ENDED, "rolled back: 2 new machines failed"),
    ),
    outcome="2 new machines failed",
    ended_at=_BEGUN + timedelta(seconds=355),
)


def files() -> dict[Path, str]:
    """Return every picture by its path in the project."""
    return {FOLDER / "rollout.svg": draw(ROLLED), FOLDER / "rollout_taken_back.svg": draw(TAKEN_BACK)}


def write(project: Path) -> None:
    """Write the pictures."""
    for path, text in files().items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path.cwd())
