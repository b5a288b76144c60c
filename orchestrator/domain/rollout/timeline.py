# SPDX-License-Identifier: Apache-2.0
"""Draw what became of a rollout as SVG: the time it took against what was foreseen, and what happened. Pure.

Marks are numbers that move down where they would meet; what they tell stands in a list beneath, so no text
can lie upon another, however much happened at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from orchestrator.domain.rollout.record import Happened, RolloutRecord
from orchestrator.domain.rollout.timeline_layout import Mark, Stretch, end_s, foreseen, marks, spans
from orchestrator.domain.rollout.wording import clock, counted, spread
from orchestrator.domain.svg import FAINT, INK, line, page, rect, text, written

WIDTH, MARGIN, LABEL = 1000, 24, 132
_LEFT, _RIGHT = MARGIN + LABEL, WIDTH - MARGIN - 12
_AXIS, _LANE, _ROW = 118, 26, 22
_FORESEEN, _ACTUAL, _MARKS = _AXIS + 14, _AXIS + 52, _AXIS + 104
_RADIUS, _LEVEL = 10, 25
_TICKS = 8
_CHARACTERS = 108  # of a line of the list, in the widest font that stands in
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
_GRID = "#dde3e8"
_FILL = {
    Stretch.PREPARES: "#b9c2cb",
    Stretch.REPLACES: "#2f6db5",
    Stretch.WAITS: "#a9c8ea",
    Stretch.PAUSED: "#d8c98a",
    Stretch.GOES_BACK: "#c0392b",
    Stretch.STOPS: "#8a5a9e",
    Stretch.VERIFIES: "#2e8b46",
}
_BAD = (Happened.FAILURE, Happened.ROLLBACK, Happened.ABORTED)
_BAND, _LIKELY = "#f3d9b1", "#b8701f"


def draw(record: RolloutRecord) -> str:
    """Return the picture of a rollout; the same record always gives the same bytes."""
    scale = _Scale(record)
    happened = marks(record, apart_s=scale.seconds(2 * _RADIUS + 2))
    places, levels = _places(happened, scale)
    listed = _MARKS + levels * _LEVEL + 16
    legend = listed + (len(happened) + 2) * _ROW
    height = legend + MARGIN
    root = page(WIDTH, height, _title(record), description=_description(record, happened))
    _add_head(root, record)
    _add_axis(root, scale, listed - 12)
    _add_lanes(root, record, scale)
    _add_marks(root, happened, places)
    _add_list(root, happened, listed)
    _add_legend(root, record, legend)
    return written(root)


class _Scale:
    """Where a time is on the picture."""

    def __init__(self, record: RolloutRecord) -> None:
        longest = max(end_s(record), foreseen(record).high, 1.0)
        self.step_s = next(
            (step for step in _STEPS_S if longest / step <= _TICKS), _STEPS_S[-1] * (1 + longest // 691_200)
        )
        self.total_s = longest * 1.02

    def x(self, at_s: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * at_s / self.total_s

    def seconds(self, pixels: float) -> float:
        return self.total_s * pixels / (_RIGHT - _LEFT)

    def ticks(self) -> list[float]:
        return [at * self.step_s for at in range(int(self.total_s // self.step_s) + 1)]


def _title(record: RolloutRecord) -> str:
    took = f" in {clock(record.actual_s)}" if record.actual_s is not None else ""
    return f"Rollout of {record.environment}/{record.fleet}: {record.phase}{took}"


def _description(record: RolloutRecord, happened: Sequence[Mark]) -> str:
    told = "; ".join(f"{clock(each.at_s)} {each.text}" for each in happened)
    return f"{_what(record)}. {_forecast(record)}. {told}"


def _what(record: RolloutRecord) -> str:
    machines = f"{counted(record.machines, 'machine')}, " if record.machines else ""
    return (
        f"{machines}{record.old_ami_id} to {record.new_ami_id}, "
        f"begun {record.begun_at:%Y-%m-%d %H:%M:%S} UTC by {record.begun_by}"
    )


def _forecast(record: RolloutRecord) -> str:
    return f"Foreseen: {spread(record.predicted_s)} from the start of the refresh"


def _add_head(root: ET.Element, record: RolloutRecord) -> None:
    text(root, MARGIN, MARGIN + 14, _title(record), size=19, weight="600")
    text(root, MARGIN, MARGIN + 38, _cut(_what(record)), size=13, fill=FAINT)
    text(root, MARGIN, MARGIN + 58, _cut(_forecast(record)), size=13, fill=FAINT)


def _add_axis(root: ET.Element, scale: _Scale, bottom: float) -> None:
    for at in scale.ticks():
        x = scale.x(at)
        line(root, (x, _AXIS), (x, bottom), _GRID)
        text(root, x, _AXIS - 6, clock(at), size=12, fill=FAINT, anchor="middle")


def _add_lanes(root: ET.Element, record: RolloutRecord, scale: _Scale) -> None:
    text(root, MARGIN, _FORESEEN + 18, "foreseen", size=13, weight="600")
    wanted = foreseen(record)
    left, right = scale.x(wanted.low), scale.x(wanted.high)
    rect(root, _LEFT, _FORESEEN + _LANE / 2 - 2, left - _LEFT, 4, _BAND)
    rect(root, left, _FORESEEN, max(right - left, 2), _LANE, _BAND)
    rect(root, scale.x(wanted.likely) - 1, _FORESEEN, 2, _LANE, _LIKELY)
    text(root, MARGIN, _ACTUAL + 18, "actual", size=13, weight="600")
    for span in spans(record):
        x = scale.x(span.begins_s)
        box = rect(root, x, _ACTUAL, max(scale.x(span.ends_s) - x, 1), _LANE, _FILL[span.stretch])
        ET.SubElement(
            box, "title"
        ).text = f"{clock(span.begins_s)} to {clock(span.ends_s)}: {span.stretch.value}"
    if record.ended_at is None:
        x = scale.x(end_s(record))
        points = f"{x:.1f},{_ACTUAL} {x + 10:.1f},{_ACTUAL + _LANE / 2:.1f} {x:.1f},{_ACTUAL + _LANE}"
        ET.SubElement(root, "polygon", {"points": points, "fill": FAINT})


def _places(happened: Sequence[Mark], scale: _Scale) -> tuple[list[tuple[float, float]], int]:
    """Return the middle of each mark, and how many levels they take."""
    ends: list[float] = []
    places: list[tuple[float, float]] = []
    for mark in happened:
        x = scale.x(mark.at_s)
        level = next((at for at, end in enumerate(ends) if end <= x), len(ends))
        ends[level : level + 1] = [x + 2 * _RADIUS + 2]
        places.append((x, _MARKS + level * _LEVEL))
    return places, max(len(ends), 1)


def _add_marks(root: ET.Element, happened: Sequence[Mark], places: Sequence[tuple[float, float]]) -> None:
    for x, y in places:
        line(root, (x, _ACTUAL + _LANE), (x, y), FAINT, stroke_width="1")
    for number, (mark, (x, y)) in enumerate(zip(happened, places, strict=True), start=1):
        _add_number(root, x, y, number, mark)


def _add_number(root: ET.Element, x: float, y: float, number: int, mark: Mark) -> None:
    fill = _FILL[Stretch.GOES_BACK] if mark.what in _BAD else INK
    place = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": str(_RADIUS), "fill": fill}
    ET.SubElement(root, "circle", place)
    text(root, x, y + 4, str(number), size=11, weight="600", fill="#ffffff", anchor="middle")


def _add_list(root: ET.Element, happened: Sequence[Mark], top: float) -> None:
    for number, mark in enumerate(happened, start=1):
        y = top + number * _ROW
        _add_number(root, MARGIN + _RADIUS, y - 4, number, mark)
        text(root, _LEFT, y, clock(mark.at_s), size=13, fill=FAINT, anchor="end")
        text(root, _LEFT + 14, y, _cut(mark.text), size=13)


def _add_legend(root: ET.Element, record: RolloutRecord, y: float) -> None:
    seen = {span.stretch for span in spans(record)}
    x: float = _LEFT + 14
    for stretch in Stretch:
        if stretch in seen:
            rect(root, x, y - 10, 12, 12, _FILL[stretch])
            text(root, x + 18, y, stretch.value, size=12, fill=FAINT)
            x += 40 + 7.2 * len(stretch.value)


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"
