# SPDX-License-Identifier: Apache-2.0
"""What an operator sees while a rollout goes on: its steps, and beneath them how far it is.

On a terminal a frame that is drawn anew with each look, red while the rollout is taken back; else a line when
something has changed. Letters and shades tell all that colours do, so NO_COLOR loses nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orchestrator.console.steps import LiveReporter, PlainReporter
from orchestrator.domain.fleet import ScalingActivity
from orchestrator.domain.rollout.progress import Progress, ZoneProgress
from orchestrator.domain.rollout.wording import clock, counted
from orchestrator.workflows.rollout.render import (
    checkpoint_text,
    failure_text,
    failures_text,
    short_line,
    time_text,
    way_back,
)

# Lines come at most so often, but at once when it matters.
_PATIENCE = timedelta(seconds=5)
_SIGN_OF_LIFE = timedelta(seconds=300)
_BAR, _CLOCK = 30, 24
_ZONES_SHOWN, _FAILURES_SHOWN, _ACTIVITIES_SHOWN = 8, 4, 3
_FORWARD = {
    "new": ("█", "green"),
    "coming": ("▓", "cyan"),
    "leaving": ("▒", "yellow"),
    "old": ("░", "grey50"),
}
# While it is taken back the old machines are what is wanted.
_BACK = {"old": ("█", "green"), "coming": ("▓", "cyan"), "leaving": ("▒", "yellow"), "new": ("░", "red")}


class PlainRollout(PlainReporter):
    """A line when something has changed: `rollout api: 2/4 machines new (checkpoint 50 %, 4:10 left)`."""

    def __init__(self, verb: str) -> None:
        super().__init__(verb)
        self._shown: dict[str, Progress] = {}

    def show(self, look: Progress) -> None:
        """Show a look, if it tells anything new."""
        last = self._shown.get(look.target)
        if last is not None and not _is_worth_a_line(last, look):
            return
        if last is None or last.refresh.status is not look.refresh.status:
            self._line(f"{self._verb} {look.target}: {_status_line(look)}")
        self._line(f"{self._verb} {look.target}: {short_line(look)}")
        self._shown[look.target] = look


def _status_line(look: Progress) -> str:
    said = f"refresh {look.refresh.status}"
    return f"{said}: {look.refresh.reason}" if look.refresh.reason else said


def _is_worth_a_line(last: Progress, look: Progress) -> bool:
    if _urgent(last) != _urgent(look):
        return True
    since = look.at - last.at
    if short_line(last) == short_line(look) or _calm(last) == _calm(look):
        return since >= _SIGN_OF_LIFE
    return since >= _PATIENCE


def _urgent(look: Progress) -> tuple[object, ...]:
    """Return what is told at once when it changes."""
    stop = look.checkpoint.percentage if look.checkpoint else None
    return look.refresh.status, stop, len(look.failures), bool(look.paused)


def _calm(look: Progress) -> tuple[object, ...]:
    """Return what is told when it changes: not a clock that goes on."""
    return look.refresh.percentage, tuple(sorted(look.zones.items(), key=lambda each: each[0]))


class LiveRollout(LiveReporter):
    """The steps, and a frame with the latest look at the fleet that is being rolled."""

    def __init__(self, verb: str, console: Console | None = None) -> None:
        self._look: Progress | None = None  # drawn from the beginning
        super().__init__(verb, console)

    def show(self, look: Progress) -> None:
        """Show a look from now on."""
        with self._lock:
            self._look = look

    def done(self, task: str, text: str) -> None:
        super().done(task, text)
        self._forget(task)

    def failed(self, task: str, text: str) -> None:
        super().failed(task, text)
        self._forget(task)

    def _forget(self, task: str) -> None:
        with self._lock:
            if self._look and self._look.target == task:
                self._look = None

    def _render(self) -> RenderableType:
        steps = super()._render()
        with self._lock:
            look = self._look
        return Group(steps, frame(look)) if look else steps


def frame(look: Progress) -> Panel:
    """Return a look as a frame."""
    is_back = look.refresh.status.is_rolling_back
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1)
    for label, content in _rows(look):
        table.add_row(label, content)
    colour = "red" if is_back else "yellow" if look.paused else "magenta" if look.takes_back else "blue"
    return Panel(
        table, title=_title(look), title_align="left", border_style=colour, padding=(0, 1), expand=True
    )


def _title(look: Progress) -> Text:
    refresh = look.refresh
    version = f"version {refresh.version}"
    if refresh.status.is_rolling_back:
        return Text(f"{way_back(look)} {look.target}: {look.old:,} of {look.desired:,} old", "bold red")
    if refresh.version is None:
        return Text(f"{look.target}: {refresh.percentage} % replaced, by a refresh without a version", "bold")
    head = f"{look.target} to {version}: {look.new:,} of {look.desired:,} new"
    if look.takes_back:
        head = (
            f"GOING BACK {look.target} to the image before, {version}: {look.new:,} of {look.desired:,} back"
        )
    return Text(f"PAUSED {head}" if look.paused else head, "bold")


def _rows(look: Progress) -> Iterator[tuple[str, RenderableType]]:
    yield from _zone_rows(look)
    if look.targets:
        yield "targets", _targets(look.targets)
    if look.checkpoint:
        reached, ends = look.checkpoint.reached_at, look.checkpoint.ends_at
        words = Text(f" {checkpoint_text(look.checkpoint, look.at)}")
        yield "checkpoint", _clock_bar(_share(reached, look.at, ends), "cyan") + words
    yield "time", _time(look)
    yield "failures", _failures(look)
    for failure in look.failures[-_FAILURES_SHOWN:]:
        yield "", Text(failure_text(failure), "red")
    if look.paused:
        yield "paused", Text(look.paused, "yellow")
    yield "refresh", Text(f"{look.refresh.status} {look.refresh.percentage} %", "bold")
    if look.refresh.reason:
        yield "AWS says", Text(look.refresh.reason)
    for activity in look.activities[:_ACTIVITIES_SHOWN]:
        yield f"{activity.started_at:%H:%M:%S}", _activity(activity)


def _zone_rows(look: Progress) -> Iterator[tuple[str, RenderableType]]:
    zones = sorted(look.zones.items())
    shown, rest = zones[:_ZONES_SHOWN], zones[_ZONES_SHOWN:]
    if rest:
        ways = ("old", "new", "coming", "leaving")
        others = ZoneProgress(*(sum(getattr(zone, way) for _, zone in rest) for way in ways))
        shown.append((f"{counted(len(rest), 'zone')} more", others))
    most = max((_total(zone) for _, zone in shown), default=1)
    signs = _BACK if look.refresh.status.is_rolling_back else _FORWARD
    for name, zone in shown:
        yield name, _zone_bar(zone, most, signs)


def _total(zone: ZoneProgress) -> int:
    return zone.old + zone.new + zone.coming + zone.leaving


def _zone_bar(zone: ZoneProgress, most: int, signs: Mapping[str, tuple[str, str]]) -> Text:
    """Draw a zone's machines to the scale of the largest zone; edges are rounded, so that sums fit."""
    bar, told = Text(), []
    sum_so_far = drawn = 0
    for way, (sign, style) in signs.items():
        number = getattr(zone, way)
        sum_so_far += number
        edge = round(_BAR * sum_so_far / most) if most else 0
        bar.append(sign * (edge - drawn), style)
        drawn = edge
        if number:
            told.append(f"{number:,} {way}")
    bar.append(" " * (_BAR + 1 - drawn))
    return bar.append(", ".join(told) or "empty")


def _targets(targets: Mapping[str, int]) -> Text:
    text = Text()
    for at, (state, number) in enumerate(sorted(targets.items())):
        style = {"healthy": "green", "unhealthy": "red"}.get(state, "yellow")
        text.append(", " if at else "").append(f"{number:,} {state}", style)
    return text


def _time(look: Progress) -> Text:
    if look.predicted_s is None or look.refresh.status.is_rolling_back:
        return Text(time_text(look))
    so_far = (look.at - look.begun_at).total_seconds()
    is_late = so_far > look.predicted_s.high
    bar = _clock_bar(so_far / max(look.predicted_s.likely, 1.0), "yellow" if is_late else "cyan")
    return bar + Text(f" {time_text(look)}", "yellow" if is_late else "")


def _failures(look: Progress) -> Text:
    number = len(look.failures)
    is_enough = number >= look.max_failures > 0
    return Text(failures_text(look), "bold red" if is_enough else "yellow" if number else "green")


def _activity(activity: ScalingActivity) -> Text:
    end = activity.ended_at
    took = f" in {clock((end - activity.started_at).total_seconds())}" if end else ""
    style = "red" if activity.has_failed else "dim"
    message = f": {activity.message}" if activity.has_failed and activity.message else ""
    return Text(f"{activity.description} ({activity.status}{took}){message}", style)


def _share(begin: datetime, now: datetime, end: datetime) -> float:
    whole = (end - begin).total_seconds()
    return (now - begin).total_seconds() / whole if whole > 0 else 1.0


def _clock_bar(share: float, style: str) -> Text:
    filled = round(_CLOCK * min(max(share, 0.0), 1.0))
    return Text("━" * filled, style) + Text("─" * (_CLOCK - filled), "grey50")


def rollout_view(verb: str) -> PlainRollout | LiveRollout:
    """Return the view that fits stderr. Use it as a context manager; `show` takes looks, the rest steps."""
    return LiveRollout(verb) if sys.stderr.isatty() else PlainRollout(verb)
