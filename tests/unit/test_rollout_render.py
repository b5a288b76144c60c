# SPDX-License-Identifier: Apache-2.0
"""What an operator reads of a rollout: its plan, a look at it, and the history of a fleet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.forecast.course import Batch, CourseCheckpoint, Spread, TimingSource
from orchestrator.domain.preflight_finding import Finding, Level
from orchestrator.domain.rollout.plan import Action, ImageChange, RollbackOutlook, RolloutPlan
from orchestrator.domain.rollout.wording import clock, counted, duration, spread
from orchestrator.workflows.rollout.render import (
    document,
    history_lines,
    plan_lines,
    progress_lines,
    record_lines,
    short_line,
)
from orchestrator.workflows.rollout.render_course import course_lines
from tests.unit.rollout_samples import (
    COURSE,
    NEW_AMI,
    PLAN,
    SUCCEEDED,
    TAKEN_BACK,
    going_back,
    looked,
    waiting,
)

PROJECT = Path(__file__).resolve().parents[2]
COLUMNS = 100
REFUSAL = Finding(
    "vcpu-quota",
    Level.ERROR,
    "the surge needs 12 vCPUs more than the quota of 32 leaves, so launches would fail half-way",
    "ask for a quota of at least 44 (Service Quotas, L-1216C47A) or lower max_healthy_percentage to 110",
)


def text(plan: RolloutPlan) -> str:
    lines = plan_lines(plan)
    assert max(map(len, lines)) <= COLUMNS, max(lines, key=len)
    return "\n".join(lines)


def test_a_plan_says_all_that_an_operator_asks() -> None:
    shown = text(PLAN)
    for said in (
        "production/api: roll 4 machines of api to a new image (group slipway-production-api)",
        "ami-0aa11111111111111 (api-11111111111111111111111111111111)",
        "to   ami-0bb22222222222222 (api-22222222222222222222222222222222)",
        "kernel: 6.1.0-20 -> 6.1.0-21",
        "packages (9): package-0 1.0-1 -> 1.0-2",
        "and 5 more",
        "us-east-1a 1, us-east-1b 1, us-east-1c 1, us-east-1d 1",
        "100 % to 150 % of the fleet, warm-up 60 s",
        "checkpoints at 25, 100 %, where AWS waits 5 min",
        "taken back when 2 new machines failed",
        "never fewer than 4; never more than 6 running",
        "11 min (10 min to 13 min)",
        "as measured in",
        "0.3 machine-hours beside the fleet, about $0.01",
        "at 200 % all four go at once",
        "possible: version 11 is numbered",
        "warning desired-is-max: desired capacity 4 is the maximum",
        "    do: raise max_size to 6",
    ):
        assert said in shown, said
    assert shown.endswith("checked: 1 warning above")


def test_the_course_is_a_picture_to_scale() -> None:
    assert course_lines(COURSE, delay_s=300, machines=4) == (
        " 0:00  ━━━━━━━━                                  1 machine",
        " 2:10          ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄               checkpoint 25 %: 1 of 4 new, AWS waits 5:00",
        " 7:10                            ━━━━━━━━━       2 machines",
        " 9:20                                     ━━━━━  1 machine",
        "10:40                                         ╵  all machines are new, 9:40 to 13:00",
    )


def test_the_documentation_shows_what_a_plan_shows() -> None:
    told = (PROJECT / "docs" / "rollouts.md").read_text("utf-8")
    assert "\n".join(course_lines(COURSE, delay_s=300, machines=4)) in told
    shown = text(PLAN).splitlines()
    assert [line for line in shown if line.startswith(("in service", "time", "surge"))] == [
        line for line in told.splitlines() if line.startswith(("in service", "time  ", "surge"))
    ]


def test_many_batches_are_gathered_by_size() -> None:
    course = replace(
        COURSE,
        duration_s=Spread.exactly(4000),
        batches=tuple(Batch(at * 100, 10 if at < 20 else 9) for at in range(40)),
        checkpoints=(CourseCheckpoint(100, Spread.exactly(4000), 380),),
    )
    assert [line.split("  ")[-1] for line in course_lines(course, delay_s=300, machines=4)] == [
        "20 batches of 10 machines",
        "20 batches of 9 machines",
        "all machines are new",
    ]


def test_batches_of_ever_other_sizes_are_one_row() -> None:
    course = replace(COURSE, batches=tuple(Batch(at * 10, 1 + at % 3) for at in range(60)), checkpoints=())
    assert course_lines(course, delay_s=0, machines=4)[0].endswith("60 batches of 1 to 3 machines")


def test_a_course_without_a_batch_has_its_end_only() -> None:
    course = replace(COURSE, batches=(), checkpoints=(), duration_s=Spread.exactly(0))
    assert len(course_lines(course, delay_s=0, machines=4)) == 1


def test_an_assumed_time_and_a_rollout_without_return_are_loud() -> None:
    plan = replace(
        PLAN,
        timing=replace(PLAN.timing, source=TimingSource.ASSUMED, samples=0),
        rollback=RollbackOutlook(False, "the group names $Latest"),
    )
    assert "ASSUMED" in text(plan)
    assert "rollback     NOT POSSIBLE: the group names $Latest" in text(plan)


def test_an_error_refuses_at_the_end_of_the_plan() -> None:
    assert text(replace(PLAN, findings=(REFUSAL,))).endswith("refused: 1 error above")


def test_nothing_to_do_is_one_line_with_the_image() -> None:
    done = replace(PLAN, action=Action.NOTHING, findings=())
    assert plan_lines(done) == (
        f"production/api: nothing to do, 4 machines of 4 run {NEW_AMI} ({PLAN.image.new_name})",
    )


def test_attaching_shows_what_is_attached_to_and_no_forecast() -> None:
    shown = text(replace(PLAN, action=Action.ATTACH, attaches_to="refresh 08b91cf7, 50 % done"))
    assert "attaches to  refresh 08b91cf7, 50 % done" in shown
    assert "━" not in shown


def test_a_rollout_that_only_wants_its_end_says_what_is_left() -> None:
    shown = "\n".join(plan_lines(replace(PLAN, action=Action.FINISH)))
    assert shown.startswith("production/api: 4 machines run the image already; what is left is to check them")
    assert "━" not in shown


def test_a_version_that_is_there_is_used_again() -> None:
    assert "version 12, which has the image already" in text(replace(PLAN, reuses_version=12))


def test_images_that_differ_in_nothing_known_say_so() -> None:
    plan = replace(PLAN, image=ImageChange("", NEW_AMI))
    assert "none known" in text(plan)
    assert "image from   unknown" in text(plan)


@pytest.mark.parametrize(
    ("look", "line"),
    [
        pytest.param(looked(100), "1/4 machines new (1 coming; 1 leaving)", id="goes on"),
        pytest.param(
            waiting(),
            "1/4 machines new (checkpoint 25 %, 4:10 left; 1 coming; 1 leaving)",
            id="waits at a checkpoint",
        ),
        pytest.param(
            going_back(),
            "TAKING BACK: 3/4 machines old (1 coming; 1 leaving; 2 of 2 failed)",
            id="is taken back",
        ),
        pytest.param(looked(100, takes_back="rollout-1", zones={}), "0/4 machines back", id="goes back"),
        pytest.param(
            looked(100, paused="by ann@laptop since 12:01", zones={}),
            "0/4 machines new (PAUSED by ann@laptop since 12:01)",
            id="paused",
        ),
    ],
)
def test_a_look_is_one_line(look: object, line: str) -> None:
    assert short_line(look) == line  # type: ignore[arg-type]


def test_a_look_has_zones_targets_the_checkpoint_and_aws_words() -> None:
    lines = progress_lines(waiting())
    assert max(map(len, lines)) <= COLUMNS
    shown = "\n".join(lines)
    assert "AWS says: Waiting for instances to warm up" in shown
    assert "us-east-1c        2        0        0        1" in shown
    assert "targets      4 healthy, 1 initial" in shown
    assert "checkpoint   25 % reached at 12:02:10; 4:10 left" in shown
    assert "time         3:20 so far of 11 min (10 min to 13 min) foreseen" in shown


def test_a_look_says_that_it_takes_longer_than_foreseen() -> None:
    assert "33:20 so far, 20:20 LONGER than foreseen" in "\n".join(progress_lines(looked(2000)))


def test_a_rollout_that_nobody_foresaw_says_so() -> None:
    assert "nobody made a forecast" in "\n".join(progress_lines(looked(60, predicted_s=None)))


def test_failures_name_the_machine_and_how() -> None:
    shown = "\n".join(progress_lines(going_back()))
    assert "failures     2 of the 2 that take it back" in shown
    assert "12:03:10 i-0bad1" in shown
    assert "target health: unhealthy: Target.ResponseCodeMismatch" in shown


def test_history_sets_what_was_foreseen_beside_what_was() -> None:
    times = "11 min (10 min to 13 min) "
    assert history_lines("production/api", (TAKEN_BACK, SUCCEEDED))[2:] == (
        "begun (UTC)       image                  machines      took  foreseen                    ended",
        f"2026-03-02 12:00  ami-0bb22222222222222         4      6:35  {times}  rolled back",
        "                  2 of 2 new machines failed",
        f"2026-03-02 12:00  ami-0bb22222222222222         4     11:00  {times}  succeeded",
    )
    going_back_by_hand = replace(SUCCEEDED, takes_back="rollout-1")
    assert history_lines("production/api", (going_back_by_hand,))[-1].strip() == "takes back rollout-1"
    wordy = replace(TAKEN_BACK, outcome="many words " * 50)
    assert len(history_lines("production/api", (wordy,))) == len(("title", "", "head", "row", "1", "2"))
    assert history_lines("production/api", ()) == ("production/api: no rollout yet",)


def test_a_record_says_who_what_and_how_it_ended() -> None:
    shown = "\n".join(record_lines(TAKEN_BACK))
    assert "phase        rolled back: 2 of 2 new machines failed" in shown
    assert "by ann@laptop" in shown
    assert "version 11 -> 12" in shown
    assert "took         6:35" in shown


def test_documents_are_json_with_every_field() -> None:
    made = json.loads(json.dumps(document(PLAN)))
    target = {"environment": "production", "fleet": "api", "ami_id": "", "is_chosen": False}
    assert made["target"] == target
    assert made["course"]["duration_s"] == {"low": 580, "likely": 640, "high": 780}
    assert made["action"] == "start"
    assert len(made["image"]["differences"]) == 11
    made = json.loads(json.dumps(document(waiting())))
    assert made["checkpoint"]["ends_at"] == "2026-03-02T12:07:30+00:00"


@pytest.mark.parametrize(
    ("seconds", "read"),
    [(-1, "0:00"), (59.6, "1:00"), (250, "4:10"), (3850, "1:04:10"), (262_830, "3d 01:00:30")],
)
def test_a_clock_reads(seconds: float, read: str) -> None:
    assert clock(seconds) == read


@pytest.mark.parametrize(
    ("seconds", "read"),
    [
        (75, "75 s"),
        (120, "2 min"),
        (3599, "1 h"),
        (5100, "1 h 25 min"),
        (86_399, "1 d"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_reads(seconds: float, read: str) -> None:
    assert duration(seconds) == read


def test_a_spread_that_is_none_is_one_number() -> None:
    assert spread(Spread.exactly(75)) == "75 s"
    assert spread(Spread(60, 75, 300)) == "75 s (60 s to 5 min)"


@pytest.mark.parametrize(
    ("number", "noun", "read"),
    [(1, "machine", "1 machine"), (1200, "machine", "1,200 machines"), (2, "batch", "2 batches")],
)
def test_things_are_counted(number: int, noun: str, read: str) -> None:
    assert counted(number, noun) == read
