# SPDX-License-Identifier: Apache-2.0
"""Plans, looks and records made by hand, for what shows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from orchestrator.domain.fleet import ScalingActivity
from orchestrator.domain.forecast.course import Batch, Course, CourseCheckpoint, Spread, Timing, TimingSource
from orchestrator.domain.preflight_finding import Finding, Level
from orchestrator.domain.refresh import InstanceRefresh, RefreshPreferences, RefreshStatus, RollbackDetails
from orchestrator.domain.rollout.plan import Action, ImageChange, RollbackOutlook, RolloutPlan, RolloutTarget
from orchestrator.domain.rollout.progress import (
    CheckpointClock,
    FailureKind,
    MachineFailure,
    Progress,
    ZoneProgress,
)
from orchestrator.domain.rollout.record import Happened, Note, Phase, RolloutRecord

BEGUN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OLD_AMI, NEW_AMI = "ami-0aa11111111111111", "ami-0bb22222222222222"
PREFERENCES = RefreshPreferences(
    min_healthy_percentage=100,
    max_healthy_percentage=150,
    instance_warmup_s=60,
    checkpoint_percentages=(25, 100),
    checkpoint_delay_s=300,
)
COURSE = Course(
    duration_s=Spread(580, 640, 780),
    batches=(Batch(0, 1), Batch(430, 2), Batch(560, 1)),
    checkpoints=(
        CourseCheckpoint(25, Spread(110, 130, 170), 1),
        CourseCheckpoint(100, Spread(580, 640, 780), 4),
    ),
    least_in_service=4,
    most_running=6,
    surge_machine_hours=0.35,
    surge_usd=0.0123,
    cliffs=("4 machines at 150 % go two by two; at 200 % all four go at once",),
)
PLAN = RolloutPlan(
    target=RolloutTarget("production", "api"),
    action=Action.START,
    group="slipway-production-api",
    server_class="api",
    template_id="lt-0123456789abcdef0",
    source_version=11,
    image=ImageChange(
        OLD_AMI,
        NEW_AMI,
        "api-11111111111111111111111111111111",
        "api-22222222222222222222222222222222",
        (
            "kernel: 6.1.0-20 -> 6.1.0-21",
            *(f"packages: package-{at} 1.{at}-1 -> 1.{at}-2" for at in range(9)),
            "units: + reaper.timer enabled",
        ),
    ),
    machines_by_zone={"us-east-1a": 1, "us-east-1b": 1, "us-east-1c": 1, "us-east-1d": 1},
    preferences=PREFERENCES,
    max_failures=2,
    timing=Timing(Spread(48, 62, 95), 60, Spread(60, 62, 70), TimingSource.MEASURED, 14),
    course=COURSE,
    rollback=RollbackOutlook(True, f"version 11 is numbered, and its image {OLD_AMI} is there"),
    findings=(
        Finding("desired-is-max", Level.WARNING, "desired capacity 4 is the maximum", "raise max_size to 6"),
    ),
)


def looked(at_s: float, **changes: object) -> Progress:
    """Return a look at a rollout of four machines in three zones, so many seconds after its beginning."""
    look = Progress(
        target="production/api",
        at=BEGUN + timedelta(seconds=at_s),
        begun_at=BEGUN,
        refresh=InstanceRefresh(
            "08b91cf7-8fa6-48af-b6a6-d227f40f1b9b",
            "slipway-production-api",
            RefreshStatus.IN_PROGRESS,
            reason="Waiting for instances to warm up before continuing. For example: i-0c3 is warming up.",
            percentage=25,
            instances_to_update=3,
            started_at=BEGUN,
            template_id="lt-0123456789abcdef0",
            version=12,
        ),
        desired=4,
        zones={
            "us-east-1a": ZoneProgress(new=1),
            "us-east-1b": ZoneProgress(old=1, coming=1),
            "us-east-1c": ZoneProgress(old=2, leaving=1),
        },
        targets={"healthy": 4, "initial": 1},
        predicted_s=Spread(580, 640, 780),
        activities=(
            ScalingActivity(
                "a-1", "Launching a new EC2 instance: i-0c3", "", "InProgress", BEGUN + timedelta(seconds=120)
            ),
        ),
        max_failures=2,
    )
    return replace(look, **changes)  # type: ignore[arg-type]


def waiting(at_s: float = 200.0) -> Progress:
    """Return a look at a checkpoint that is waited at until 7:30."""
    reached = BEGUN + timedelta(seconds=130)
    stop = CheckpointClock(25, reached, reached + timedelta(seconds=320))
    return looked(at_s, checkpoint=stop)


def going_back(at_s: float = 300.0) -> Progress:
    """Return a look at a rollback after two failures."""
    refresh = replace(
        looked(at_s).refresh,
        status=RefreshStatus.ROLLBACK_IN_PROGRESS,
        reason="Rollback initiated by user.",
        percentage=0,
        rollback=RollbackDetails("", BEGUN + timedelta(seconds=250), 25, 3),
    )
    return looked(at_s, refresh=refresh, failures=FAILURES)


FAILURES = tuple(
    MachineFailure(
        instance_id,
        FailureKind.TARGET_HEALTH,
        "unhealthy: Target.ResponseCodeMismatch",
        BEGUN + timedelta(seconds=at_s),
    )
    for instance_id, at_s in (("i-0bad1", 190), ("i-0bad2", 245))
)


def _note(at_s: float, what: Happened, says: str) -> Note:
    return Note(BEGUN + timedelta(seconds=at_s), what, says)


SUCCEEDED = RolloutRecord(
    rollout_id="rollout-20260302T120000-ab12cd",
    environment="production",
    fleet="api",
    group="slipway-production-api",
    begun_by="ann@laptop",
    begun_at=BEGUN,
    template_id="lt-0123456789abcdef0",
    old_version=11,
    old_ami_id=OLD_AMI,
    new_ami_id=NEW_AMI,
    preferences=PREFERENCES,
    max_failures=2,
    predicted_s=Spread(580, 640, 780),
    phase=Phase.SUCCEEDED,
    new_version=12,
    refresh_ids=("08b91cf7-8fa6-48af-b6a6-d227f40f1b9b",),
    machines=4,
    notes=(
        _note(0, Happened.BEGUN, f"{NEW_AMI} for 4 machines"),
        _note(2, Happened.VERSION, "launch template version 12"),
        _note(3, Happened.REFRESH, "refresh 08b91cf7"),
        _note(128, Happened.CHECKPOINT, "25 % are new, AWS waits 5:00"),
        _note(430, Happened.RESUMED, "goes on"),
        _note(655, Happened.VERIFYING, "4 of 4 machines run the new image"),
        _note(659, Happened.POINTER, "/slipway/production/api/ami"),
        _note(660, Happened.ENDED, "succeeded"),
    ),
    outcome="4 machines run the new image",
    ended_at=BEGUN + timedelta(seconds=660),
)
TAKEN_BACK = replace(
    SUCCEEDED,
    rollout_id="rollout-20260303T120000-ef34ab",
    phase=Phase.ROLLED_BACK,
    failures=FAILURES,
    notes=(
        *SUCCEEDED.notes[:4],
        _note(190, Happened.FAILURE, "i-0bad1: target health"),
        _note(245, Happened.FAILURE, "i-0bad2: target health"),
        _note(247, Happened.ROLLBACK, "2 of 2 new machines failed"),
        _note(390, Happened.VERIFYING, "4 of 4 machines run the old image"),
        _note(395, Happened.ENDED, "rolled back"),
    ),
    outcome="2 of 2 new machines failed",
    ended_at=BEGUN + timedelta(seconds=395),
)
