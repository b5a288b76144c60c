# SPDX-License-Identifier: Apache-2.0
"""Write the pictures of docs/rollouts.md, of two examples: `python -m orchestrator.rollout_pictures`."""

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


_BEGINNING = (
    _note(0, Happened.BEGUN, "ami-0f2e4d6c8b0a19283 for 8 machines"),
    _note(2, Happened.VERSION, "version 12 of the launch template, made from version 11"),
    _note(3, Happened.REFRESH, "a refresh to version 12, taken back by AWS too if it fails"),
    _note(130, Happened.CHECKPOINT, "25 % are new, AWS waits 5 min"),
)
ROLLED = RolloutRecord(
    rollout_id="rollout-20260302T093000-a1b2c3",
    environment="production",
    fleet="api",
    group="slipway-production-api",
    begun_by="ann@laptop",
    begun_at=_BEGUN,
    template_id="lt-0a1b2c3d4e5f60718",
    old_version=11,
    new_version=12,
    old_ami_id="ami-0a1b2c3d4e5f60718",
    new_ami_id="ami-0f2e4d6c8b0a19283",
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
        _note(
            470, Happened.FAILURE, "i-0c3d5e7f90a1b2c3d: launch: InsufficientInstanceCapacity in us-east-1c"
        ),
        _note(640, Happened.CHECKPOINT, "50 % are new, AWS waits 5 min"),
        _note(700, Happened.PROMOTED, "past the checkpoint at 50 %, by ann@laptop"),
        _note(985, Happened.VERIFYING, "8 of 8 machines run the new image, healthy, in 4 zones"),
        _note(990, Happened.POINTER, "/slipway/production/api/ami names the new image"),
        _note(992, Happened.ENDED, "succeeded"),
    ),
    outcome="8 machines run the new image",
    ended_at=_BEGUN + timedelta(seconds=992),
)
_FAILURE = MachineFailure(
    "i-0d4e6f8091a2b3c4d", FailureKind.TARGET_HEALTH, "unhealthy", _BEGUN + timedelta(seconds=190)
)
TAKEN_BACK = replace(
    ROLLED,
    rollout_id="rollout-20260303T093000-d4e5f6",
    phase=Phase.ROLLED_BACK,
    failures=(_FAILURE, replace(_FAILURE, instance_id="i-0e5f708192a3b4c5d")),
    notes=(
        *_BEGINNING,
        _note(190, Happened.FAILURE, "i-0d4e6f8091a2b3c4d: target health: answers 500"),
        _note(205, Happened.FAILURE, "i-0e5f708192a3b4c5d: target health: answers 500"),
        _note(206, Happened.ROLLBACK, "2 of 2 new machines failed"),
        _note(352, Happened.VERIFYING, "8 of 8 machines run the old image, healthy, in 4 zones"),
        _note(355, Happened.ENDED, "rolled back"),
    ),
    outcome="2 of 2 new machines failed",
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
