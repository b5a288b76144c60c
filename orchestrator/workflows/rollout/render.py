# SPDX-License-Identifier: Apache-2.0
"""Looks at rollouts and their history as an operator reads them, and as documents for --json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from textwrap import shorten

from orchestrator.domain.refresh import RefreshStatus
from orchestrator.domain.rollout.progress import CheckpointClock, MachineFailure, Progress
from orchestrator.domain.rollout.record import Phase, RolloutRecord
from orchestrator.domain.rollout.wording import clock, counted, duration, spread
from orchestrator.workflows.rollout.render_plan import WIDTH, plan_lines, wrapped

__all__ = ["document", "history_lines", "plan_lines", "progress_lines", "record_lines", "short_line"]

_LABEL = 13
_OUTCOME = 160  # --json has all of it


def document(value: object) -> object:
    """Return what JSON can hold of domain objects: fields by name, times as ISO 8601."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: document(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): document(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [document(each) for each in value]
    return value


def progress_lines(look: Progress) -> tuple[str, ...]:
    """Return one look at a rollout, its machines by zone."""
    refresh = look.refresh
    lines = [
        *row("refresh", f"{refresh.refresh_id}: {refresh.status}, {refresh.percentage} %"),
        *(row("", f"AWS says: {refresh.reason}") if refresh.reason else ()),
        *row("machines", _machines(look)),
        *(f"{'':{_LABEL}}{line}" for line in _zone_table(look)),
    ]
    if look.targets:
        targets = ", ".join(f"{number:,} {state}" for state, number in sorted(look.targets.items()))
        lines += row("targets", targets)
    if look.checkpoint:
        lines += row("checkpoint", checkpoint_text(look.checkpoint, look.at))
    lines += row("time", time_text(look))
    lines += row("failures", failures_text(look))
    lines += [line for each in look.failures for line in row("", failure_text(each))]
    if look.paused:
        lines += row("paused", look.paused)
    return tuple(lines)


def _machines(look: Progress) -> str:
    if look.refresh.version is None:
        return "which are new can't be told: the refresh has no version of its own"
    return f"{look.new:,} of {look.desired:,} new, {look.old:,} old"


def short_line(look: Progress) -> str:
    """Return one look in a line: `2/4 machines new (checkpoint 50 %, 4:10 left)`."""
    if look.refresh.status.is_rolling_back:
        head = f"{way_back(look)}: {look.old:,}/{look.desired:,} machines old"
    elif look.refresh.version is None:
        head = f"{look.refresh.percentage} % of the machines replaced"
    else:
        head = f"{look.new:,}/{look.desired:,} machines {'back' if look.takes_back else 'new'}"
    remarks = [*_remarks(look)]
    return f"{head} ({'; '.join(remarks)})" if remarks else head


def way_back(look: Progress) -> str:
    """Return how far a rollback is, in capitals."""
    if look.refresh.status is RefreshStatus.ROLLBACK_SUCCESSFUL:
        return "TAKEN BACK"
    if look.refresh.status is RefreshStatus.ROLLBACK_FAILED:
        return "COULD NOT BE TAKEN BACK"
    return "TAKING BACK"


def _remarks(look: Progress) -> Iterable[str]:
    if look.paused:
        yield f"PAUSED {look.paused}"
    if look.checkpoint:
        yield f"checkpoint {look.checkpoint.percentage} %, {_left(look.checkpoint, look.at)}"
    moving = [
        f"{sum(getattr(zone, way) for zone in look.zones.values()):,} {way}" for way in ("coming", "leaving")
    ]
    yield from (text for text in moving if not text.startswith("0 "))
    if look.failures:
        yield f"{len(look.failures)}{f' of {look.max_failures}' if look.max_failures else ''} failed"


def _left(stop: CheckpointClock, at: datetime) -> str:
    left = (stop.ends_at - at).total_seconds()
    return f"{clock(left)} left" if left > 0 else "over"


def checkpoint_text(stop: CheckpointClock, at: datetime) -> str:
    """Return what is waited for: `25 % reached at 12:02:08; goes on in 4:10`."""
    return f"{stop.percentage} % reached at {stop.reached_at:%H:%M:%S}; {_left(stop, at)}"


def time_text(look: Progress) -> str:
    """Return how long it takes against what was foreseen; nobody foresees the way back."""
    so_far = (look.at - look.begun_at).total_seconds()
    text = f"{clock(so_far)} so far"
    if look.refresh.status.is_rolling_back:
        back = look.refresh.rollback.started_at if look.refresh.rollback else None
        return f"{text}, the last {clock((look.at - back).total_seconds())} on the way back" if back else text
    if look.predicted_s is None:
        return f"{text}; nobody made a forecast"
    if so_far > look.predicted_s.high:
        beyond = clock(so_far - look.predicted_s.high)
        return f"{text}, {beyond} LONGER than foreseen, at most {duration(look.predicted_s.high)}"
    return f"{text} of {spread(look.predicted_s)} foreseen"


def failures_text(look: Progress) -> str:
    """Return how many new machines failed, and how many may; a run that only watches lets any number."""
    number = len(look.failures)
    if not look.max_failures:
        return f"{number}; nobody who watches takes it back"
    return f"{number} of the {look.max_failures} that take it back"


def failure_text(failure: MachineFailure) -> str:
    """Return which machine failed, when and how."""
    who = failure.instance_id or "a machine that never came to be"
    return f"{failure.at:%H:%M:%S} {who}, {failure.kind}: {failure.says}"


def _zone_table(look: Progress) -> list[str]:
    names = ("old", "new", "coming", "leaving")
    width = max((len(zone) for zone in look.zones), default=0)
    lines = [f"{'':{width}}{''.join(f'{name:>9}' for name in names)}"] if look.zones else []
    for zone, each in sorted(look.zones.items()):
        lines.append(f"{zone:{width}}" + "".join(f"{getattr(each, name):>9,}" for name in names))
    return lines


def row(label: str, text: str) -> list[str]:
    """Return a label and a text beside it, wrapped."""
    lines = wrapped(text, WIDTH - _LABEL, "  ")
    return [f"{label if at == 0 else '':<{_LABEL}}{line}" for at, line in enumerate(lines)]


def record_lines(record: RolloutRecord) -> tuple[str, ...]:
    """Return a rollout that was or is under way: what it changes, who began it, how it ended."""
    old, new = record.old_version, record.new_version or "not made yet"
    begun = f"{record.begun_at:%Y-%m-%d %H:%M:%S} UTC by {record.begun_by} ({record.rollout_id})"
    return (
        *row("phase", _phase(record)),
        *row("begun", begun),
        *row("image", f"{record.old_ami_id} -> {record.new_ami_id}"),
        *row("template", f"{record.template_id}: version {old} -> {new}"),
        *(row("took", f"{_took(record)}; foreseen {spread(record.predicted_s)}") if record.ended_at else ()),
    )


def _phase(record: RolloutRecord) -> str:
    if not record.outcome or record.outcome.startswith(record.phase):
        return record.outcome or record.phase
    return f"{record.phase}: {record.outcome}"


def history_lines(name: str, records: tuple[RolloutRecord, ...]) -> tuple[str, ...]:
    """Return a fleet's rollouts, newest first, a line each, with what went wrong beneath."""
    if not records:
        return (f"{name}: no rollout yet",)
    lines = [f"{name}: {counted(len(records), 'rollout')}, newest first; took = from begin to end", ""]
    lines.append(f"{'begun (UTC)':17} {'image':22} {'machines':>8}  {'took':>8}  {'foreseen':27} ended")
    for each in records:
        lines.append(
            f"{each.begun_at:%Y-%m-%d %H:%M}  {each.new_ami_id:22} {each.machines:>8,}  {_took(each):>8}  "
            f"{spread(each.predicted_s):27} {each.phase}"
        )
        indent = " " * len("2026-01-01 12:00  ")
        for remark in _history_remarks(each):
            lines += [f"{indent}{line}" for line in wrapped(remark, WIDTH - len(indent), "")]
    return tuple(lines)


def _history_remarks(record: RolloutRecord) -> Iterable[str]:
    if record.takes_back:
        yield f"takes back {record.takes_back}"
    if record.outcome and record.phase is not Phase.SUCCEEDED:
        yield shorten(record.outcome, _OUTCOME, placeholder=" …")


def _took(record: RolloutRecord) -> str:
    return clock(record.actual_s) if record.actual_s is not None else "not over"
