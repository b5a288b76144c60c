# SPDX-License-Identifier: Apache-2.0
"""What a small change of a number would change a lot, in sentences."""

from __future__ import annotations

import pytest

from orchestrator.domain.forecast import forecast
from orchestrator.domain.forecast.course import FleetShape, Spread, Timing
from orchestrator.domain.forecast.words import at_a_time, listed, percentages, time_of
from orchestrator.domain.refresh import RefreshPreferences

TIMING = Timing(Spread.exactly(60), 300, Spread.exactly(300))


def cliffs(machines: int, least: int, most: int | None = None, **more: object) -> tuple[str, ...]:
    size = int(more.pop("max_size", 2 * machines))  # type: ignore[call-overload]
    zones = {"a": machines // 2, "b": machines - machines // 2}
    preferences = RefreshPreferences(least, most, **more)  # type: ignore[arg-type]
    return forecast(FleetShape(zones, {}, machines, size), preferences, TIMING).cliffs


@pytest.mark.parametrize(
    ("machines", "least", "most", "sentences"),
    [
        (
            19,
            90,
            None,
            (
                "19 machines at 90 % go one by one, in 1 h 54 min; 20 would go by two, in 1 h.",
                "19 machines at 90 % go one by one, in 1 h 54 min; at 89 % they would go by two, in 1 h.",
            ),
        ),
        (
            20,
            90,
            100,
            (
                "20 machines at 90 % go by two, in 1 h; 19 would go one by one, in 1 h 54 min.",
                "20 machines at 90 % go by two, in 1 h; at 91 % they would go one by one, in 2 h.",
            ),
        ),
        (
            9,
            90,
            110,
            ("9 machines at 90 to 110 % go one by one, in 1 h 39 min; 10 would go by two, in 55 min.",),
        ),
        (1000, 90, 110, ()),
        (100, 85, 100, ()),
    ],
)
def test_rounding_is_a_cliff_where_a_neighbour_goes_much_faster_or_slower(
    machines: int, least: int, most: int | None, sentences: tuple[str, ...]
) -> None:
    assert cliffs(machines, least, most) == sentences


def test_one_by_one_is_told_and_what_room_would_do() -> None:
    assert cliffs(100, 100, 100) == (
        "min = max = 100 %: one by one, in 18 h 20 min; with a maximum of 110 % by ten, in 1 h 50 min.",
    )


@pytest.mark.parametrize(("machines", "is_told"), [(1832, False), (1833, True)])
def test_a_refresh_that_outlasts_fourteen_days_is_told(machines: int, is_told: bool) -> None:
    found = [each for each in cliffs(machines, 100, 100) if "longer than" in each]
    assert found == (
        [
            "min = max = 100 %: one by one, it would take 14 days, longer than the 14 days that a refresh "
            "may last."
        ]
        if is_told
        else []
    )


@pytest.mark.parametrize(
    ("least", "size", "consequence"),
    [
        (100, 10, "it could replace none of them."),
        (100, 11, "one by one, in 1 h 50 min instead of 22 min."),
        (90, 10, "one by one, in 1 h instead of 22 min."),
    ],
)
def test_a_group_with_little_room_is_told_what_it_may_mean(least: int, size: int, consequence: str) -> None:
    found = [each for each in cliffs(10, least, 150, max_size=size) if "may have" in each]
    doubt = (
        f"The group may have {size} machines, and AWS does not say whether a refresh goes beyond: if not, "
    )
    assert found == [doubt + consequence]


def test_a_group_with_room_for_the_surge_is_told_nothing_of_it() -> None:
    assert not [each for each in cliffs(10, 100, 150, max_size=15) if "may have" in each]


def test_checkpoints_that_a_small_fleet_can_t_tell_apart_are_told() -> None:
    (one,) = [each for each in cliffs(2, 50, checkpoint_percentages=(10, 40, 100)) if "checkpoint" in each]
    assert one == "The checkpoint 10 % is passed over: 2 machines are too few to tell it from 40 %."
    (two,) = [each for each in cliffs(2, 50, checkpoint_percentages=(10, 40, 50, 100)) if "point" in each]
    assert (
        two == "The checkpoints 10 % and 40 % are passed over: 2 machines are too few to tell them from 50 %."
    )


def test_a_last_checkpoint_below_a_hundred_is_told() -> None:
    found = [each for each in cliffs(10, 50, checkpoint_percentages=(10, 50)) if "ends" in each]
    assert found == ["The refresh ends at its last checkpoint, 50 %: 5 machines stay as they are."]


def test_an_empty_fleet_or_zone_is_told() -> None:
    assert "No machine is in service while a batch is replaced." in cliffs(4, 0)
    assert "1 of 2 machines are in service while a batch is replaced: not every zone has one." in cliffs(
        2, 50
    )
    assert not [each for each in cliffs(4, 100, 200) if "in service" in each]


def test_a_fleet_that_is_as_wanted_has_no_cliffs() -> None:
    shape = FleetShape({}, {"a": 19}, 19, 19)
    assert forecast(shape, RefreshPreferences(90), TIMING).cliffs == ()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (250, "4 min 10 s"),
        (6840, "1 h 54 min"),
        (3599, "1 h"),
        (86400, "24 h"),
        (14 * 86400 + 200, "14 days"),
        (659_880, "7 days 15 h"),
    ],
)
def test_times_are_told_in_the_units_that_matter(seconds: float, words: str) -> None:
    assert time_of(seconds) == words


def test_numbers_are_told_in_words_while_they_are_small() -> None:
    assert [at_a_time(each) for each in (1, 2, 12, 13)] == ["one by one", "by two", "by twelve", "by 13"]
    assert [percentages(90, 100), percentages(100, 100), percentages(100, 150)] == [
        "90 %",
        "min = max = 100 %",
        "100 to 150 %",
    ]
    assert [listed(["a"]), listed(["a", "b", "c"])] == ["a", "a, b and c"]
