# SPDX-License-Identifier: Apache-2.0
"""The picture of a rollout: true to its record, readable, and the same every time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.documents import rollouts
from orchestrator.domain.rollout.record import Happened, Note, Phase, RolloutRecord
from orchestrator.domain.rollout.timeline import WIDTH, draw
from orchestrator.domain.rollout.timeline_layout import Span, Stretch, foreseen, marks, spans
from tests.unit.rollout_samples import BEGUN, SUCCEEDED, TAKEN_BACK

PROJECT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
# The widest letters of the fonts that the style names, in parts of the font's size.
LETTER_WIDTH = 0.66


def note(at_s: float, what: str, says: str = "") -> Note:
    return Note(BEGUN + timedelta(seconds=at_s), what, says)


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - we wrote it


def box(element: ET.Element) -> tuple[float, float, float, float]:
    """Return about what a text covers: left, top, right, bottom."""
    size, x, y = (float(element.attrib[key]) for key in ("font-size", "x", "y"))
    width = len(element.text or "") * size * LETTER_WIDTH
    left = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[element.attrib["text-anchor"]]
    return left, y - size * 0.8, left + width, y + size * 0.2


def overlapping(svg: str) -> list[tuple[str | None, str | None]]:
    texts = [(each.text, box(each)) for each in parsed(svg).iter(f"{SVG}text")]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(texts, 2)
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]


def test_a_rollout_is_prepared_replaces_waits_goes_on_and_is_verified() -> None:
    assert spans(SUCCEEDED) == (
        Span(0, 3, Stretch.PREPARES),
        Span(3, 128, Stretch.REPLACES),
        Span(128, 428, Stretch.WAITS),
        Span(428, 430, Stretch.REPLACES),
        Span(430, 655, Stretch.REPLACES),
        Span(655, 660, Stretch.VERIFIES),
    )


def test_a_failure_does_not_end_the_wait_and_a_rollback_does() -> None:
    assert spans(TAKEN_BACK)[2:4] == (Span(128, 247, Stretch.WAITS), Span(247, 390, Stretch.GOES_BACK))


def test_a_rollout_that_goes_on_is_drawn_up_to_what_is_known_of_it() -> None:
    under_way = replace(SUCCEEDED, ended_at=None, phase=Phase.REFRESHING, notes=SUCCEEDED.notes[:4])
    assert spans(under_way)[-1] == Span(3, 128, Stretch.REPLACES)
    assert len(list(parsed(draw(under_way)).iter(f"{SVG}polygon"))) == 1
    assert not list(parsed(draw(SUCCEEDED)).iter(f"{SVG}polygon"))


def test_a_rollout_without_notes_is_drawn() -> None:
    bare = replace(SUCCEEDED, ended_at=None, notes=())
    assert spans(bare) == ()
    assert draw(bare).startswith("<svg ")


def test_the_forecast_counts_from_the_refresh() -> None:
    assert foreseen(SUCCEEDED).low == SUCCEEDED.predicted_s.low + 3


def test_the_band_and_the_bar_are_to_one_scale() -> None:
    svg = parsed(draw(SUCCEEDED))
    lanes = [each for each in svg.iter(f"{SVG}rect") if each.attrib["height"] == "26.0"]
    by_fill = {each.attrib["fill"]: each for each in lanes}
    band, verified = by_fill["#f3d9b1"], by_fill["#2e8b46"]
    per_second = float(band.attrib["width"]) / (780 - 580)
    assert float(verified.attrib["width"]) == pytest.approx(5 * per_second, abs=0.1)
    begin = float(band.attrib["x"]) - 583 * per_second
    assert float(verified.attrib["x"]) == pytest.approx(begin + 655 * per_second, abs=0.5)


def test_what_is_alike_and_close_is_one_mark() -> None:
    failures = tuple(note(100 + at, Happened.FAILURE, f"i-{at}") for at in range(5))
    crowd = replace(SUCCEEDED, notes=(*failures, note(300, Happened.FAILURE, "i-late")))
    assert [each.text for each in marks(crowd, apart_s=10)] == ["failure: i-0 and 4 more", "failure: i-late"]


def test_the_picture_tells_itself_to_those_who_do_not_see_it() -> None:
    svg = parsed(draw(TAKEN_BACK))
    assert svg.attrib["role"] == "img"
    named = {each.attrib["id"]: each.text or "" for each in svg if "id" in each.attrib}
    assert svg.attrib["aria-labelledby"].split() == list(named)
    assert named["title"] == "Rollout of production/api: rolled back in 6:35"
    assert "4:07 rollback: 2 of 2 new machines failed" in named["desc"]


def test_words_of_a_console_can_t_break_the_picture() -> None:
    rude = replace(SUCCEEDED, notes=(note(5, Happened.FAILURE, "\x1b[31m<b>&\x00\n" + "wide " * 60),))
    texts = [each.text or "" for each in parsed(draw(rude)).iter(f"{SVG}text")]
    assert any(text.startswith("failure:  [31m<b>&") and text.endswith("…") for text in texts)
    assert overlapping(draw(rude)) == []


_NOTES = st.lists(
    st.builds(
        note,
        st.one_of(st.floats(0, 5), st.floats(0, 900), st.floats(0, 2_000_000)),
        st.sampled_from([*Happened, "another word"]),
        st.text(max_size=160),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(_NOTES)
def test_whatever_happened_no_text_lies_on_another(notes: list[Note]) -> None:
    last = max((each.at for each in notes), default=BEGUN)
    record: RolloutRecord = replace(SUCCEEDED, notes=tuple(notes), ended_at=last)
    drawn = draw(record)
    assert drawn == draw(record)
    assert overlapping(drawn) == []
    circles = parsed(drawn).iter(f"{SVG}circle")
    assert all(0 < float(each.attrib["cx"]) < WIDTH for each in circles)
    for before, after in pairwise(spans(record)):
        assert before.ends_s == after.begins_s


@pytest.mark.parametrize("path", rollouts.files(), ids=str)
def test_the_pictures_of_the_documentation_are_up_to_date(path: Path) -> None:
    assert (PROJECT / path).read_text("utf-8") == rollouts.files()[path], "run ./inv docs"
    assert overlapping(rollouts.files()[path]) == []
