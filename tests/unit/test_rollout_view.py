# SPDX-License-Identifier: Apache-2.0
"""What an operator sees while a rollout goes on, on a terminal and without one."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from orchestrator.console.rollout import LiveRollout, PlainRollout, frame, rollout_view
from orchestrator.domain.refresh import RefreshStatus
from orchestrator.domain.rollout.progress import Progress, ZoneProgress
from tests.unit.rollout_samples import going_back, looked, waiting

WIDTH = 100


def terminal(*, no_color: bool = False) -> Console:
    return Console(
        file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor", no_color=no_color
    )


def drawn(look: RenderableType, console: Console | None = None) -> str:
    console = console or Console(file=io.StringIO(), width=WIDTH)
    console.print(look)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_frame_has_zones_targets_the_clock_times_failures_and_aws_words() -> None:
    shown = drawn(frame(waiting()))
    assert [len(line) for line in shown.splitlines()] == [WIDTH] * len(shown.splitlines())
    for said in (
        "production/api to version 12: 1 of 4 new",
        "us-east-1a ██████████                     1 new",
        "us-east-1b ▓▓▓▓▓▓▓▓▓▓░░░░░░░░░░           1 coming, 1 old",
        "us-east-1c ▒▒▒▒▒▒▒▒▒▒░░░░░░░░░░░░░░░░░░░░ 1 leaving, 2 old",
        "targets    4 healthy, 1 initial",
        "checkpoint ━━━━━─────────────────── 25 % reached at 12:02:10; 4:10 left",
        "time       ━━━━━━━━──────────────── 3:20 so far of 11 min (10 min to 13 min) foreseen",
        "failures   0 of the 2 that take it back",
        "refresh    InProgress 25 %",
        "AWS says   Waiting for instances to warm up before continuing.",
        "12:02:00   Launching a new EC2 instance: i-0c3 (InProgress)",
    ):
        assert said in shown, said


def test_a_rollback_looks_different_and_names_the_machines() -> None:
    shown, forward = drawn(frame(going_back())), drawn(frame(looked(100)))
    assert "TAKING BACK production/api: 3 of 4 old" in shown
    assert "us-east-1c ████████████████████▒▒▒▒▒▒▒▒▒▒ 2 old, 1 leaving" in shown
    assert "12:03:10 i-0bad1" in shown
    assert "5:00 so far, the last 0:50 on the way back" in shown
    assert "TAKING BACK" not in forward
    red = "\x1b[31m╭"
    assert red in drawn(frame(going_back()), terminal())
    assert red not in drawn(frame(looked(100)), terminal())


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (RefreshStatus.ROLLBACK_SUCCESSFUL, "TAKEN BACK production/api: 3 of 4 old"),
        (RefreshStatus.ROLLBACK_FAILED, "COULD NOT BE TAKEN BACK production/api: 3 of 4 old"),
    ],
)
def test_the_end_of_a_rollback_is_told_from_its_course(status: RefreshStatus, said: str) -> None:
    look = going_back()
    assert said in drawn(frame(replace(look, refresh=replace(look.refresh, status=status))))


def test_a_rollout_to_the_image_before_says_that_it_goes_back() -> None:
    look = looked(100, takes_back="rollout-20260302T120000-ab12cd")
    assert "GOING BACK production/api to the image before, version 12: 1 of 4 back" in drawn(frame(look))
    assert "\x1b[35m╭" in drawn(frame(look), terminal())


def test_a_refresh_without_a_version_is_told_by_its_percentage(lines: Lines) -> None:
    look = looked(100)
    look = replace(look, refresh=replace(look.refresh, version=None), zones={"a": ZoneProgress(old=4)})
    assert "production/api: 25 % replaced, by a refresh without a version" in drawn(frame(look))
    assert lines.of(look)[-1] == "rollout production/api: 25 % of the machines replaced"


def test_a_pause_is_in_the_title() -> None:
    shown = drawn(frame(looked(100, paused="by ann@laptop since 12:01")))
    assert "PAUSED production/api" in shown
    assert "paused     by ann@laptop since 12:01" in shown


def test_without_colour_nothing_is_lost() -> None:
    coloured, plain = drawn(frame(waiting()), terminal()), drawn(frame(waiting()), terminal(no_color=True))
    assert "\x1b[36m" in coloured
    assert "\x1b[36m" not in plain
    assert "██████████" in plain


@pytest.mark.parametrize("machines", [1, 3, 7, 1000, 10_000])
def test_bars_of_any_size_end_where_their_machines_do(machines: int) -> None:
    zones = {"a": ZoneProgress(machines, machines, machines, machines), "b": ZoneProgress(old=machines)}
    shown = drawn(frame(looked(1, zones=zones)))
    bars = {line[2]: sum(line.count(sign) for sign in "█▓▒░") for line in shown.splitlines()[1:3]}
    assert bars == {"a": 30, "b": 8}  # 7.5 is rounded to even


def test_empty_and_many_zones_fit() -> None:
    assert "empty" in drawn(frame(looked(1, zones={"a": ZoneProgress()})))
    many = {f"zone-{at:02}": ZoneProgress(old=at) for at in range(12)}
    shown = drawn(frame(looked(1, zones=many)))
    assert "4 zones more" in shown
    assert "38 old" in shown  # 8 + 9 + 10 + 11


def test_the_frame_goes_when_its_fleet_is_done() -> None:
    view = LiveRollout("rollout", terminal())
    view.step("production/api", "watch")
    view.show(waiting())
    assert "25 % reached" in drawn(view._render())
    view.done("production/api", "4 machines are new")
    assert "25 % reached" not in drawn(view._render())
    assert "4 machines are new" in drawn(view._render())


def test_a_long_step_is_cut_and_the_fleet_s_name_is_not() -> None:
    view = LiveRollout("rollout", terminal())
    view.step("production/api", "refresh 08b91cf7-8fa6-48af-b6a6-d227f40f1b9b replaces 4 machines " * 3)
    (line,) = drawn(view._render()).splitlines()
    assert re.search(r"rollout production/api \d+:\d\d refresh 08b91cf7", line)
    assert line.endswith("…")
    view.step("production/worker", "verify", position=(2, 3))
    assert "rollout production/worker ━━━" in drawn(view._render())


class Lines:
    """A plain view, and what it has written."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture, self._view = capture, PlainRollout("rollout")

    def of(self, *looks: Progress) -> list[str]:
        for look in looks:
            self._view.show(look)
        return self._capture.readouterr().err.splitlines()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return Lines(capsys)


def later(look: Progress, seconds: float, **changes: object) -> Progress:
    return replace(look, at=look.at + timedelta(seconds=seconds), **changes)  # type: ignore[arg-type]


def test_a_line_tells_how_far_it_is(lines: Lines) -> None:
    assert lines.of(waiting()) == [
        "rollout production/api: refresh InProgress: "
        "Waiting for instances to warm up before continuing. For example: i-0c3 is warming up.",
        "rollout production/api: 1/4 machines new (checkpoint 25 %, 4:10 left; 1 coming; 1 leaving)",
    ]


def test_what_has_not_changed_is_not_told_again(lines: Lines) -> None:
    first = waiting()
    lines.of(first)
    assert lines.of(*(later(first, seconds) for seconds in range(0, 290, 10))) == []
    assert lines.of(later(first, 300)) == [
        "rollout production/api: 1/4 machines new (checkpoint 25 %, over; 1 coming; 1 leaving)"
    ]


def test_changes_are_told_at_most_every_few_seconds_and_the_last_one_is(lines: Lines) -> None:
    def replaced(at_s: float, new: int) -> Progress:
        return looked(at_s, zones={"us-east-1a": ZoneProgress(old=4 - new, new=new)})

    lines.of(replaced(100, 0))
    assert lines.of(*(replaced(101 + new, new) for new in range(4))) == []
    assert lines.of(replaced(105, 3)) == ["rollout production/api: 3/4 machines new"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(
            lambda: going_back(100.5), "refresh RollbackInProgress: Rollback initiated", id="rollback"
        ),
        pytest.param(
            lambda: looked(100.5, failures=going_back().failures[:1]), "1 of 2 failed", id="failure"
        ),
        pytest.param(lambda: waiting(100.5), "checkpoint 25 %", id="checkpoint"),
        pytest.param(lambda: looked(100.5, paused="by ann"), "PAUSED by ann", id="pause"),
    ],
)
def test_what_matters_is_told_at_once(lines: Lines, change: Callable[[], Progress], told: str) -> None:
    lines.of(looked(100))
    assert told in "\n".join(lines.of(change()))


def test_fleets_have_lines_of_their_own(lines: Lines) -> None:
    lines.of(looked(100))
    assert lines.of(looked(100, target="production/worker"))[-1].startswith("rollout production/worker: 1/4")


def test_without_a_terminal_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(rollout_view("rollout"), PlainRollout)


def test_every_status_can_be_shown() -> None:
    for status in RefreshStatus:
        look = looked(10)
        assert status.value in drawn(frame(replace(look, refresh=replace(look.refresh, status=status))))
