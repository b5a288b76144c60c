# SPDX-License-Identifier: Apache-2.0
"""Numbers of a forecast as words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_NUMBERS = (
    ["none", "one", "two", "three", "four", "five", "six"]
    + ["seven", "eight", "nine", "ten", "eleven", "twelve"]
)  # fmt: skip
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_WHOLE = 100


def at_a_time(machines: int) -> str:
    """Return how a fleet goes: one by one, by two, by 15."""
    if machines == 1:
        return "one by one"
    return f"by {_NUMBERS[machines] if machines < len(_NUMBERS) else machines}"


def time_of(seconds: float) -> str:
    """Return a time in the two units that matter: 40 s, 4 min 10 s, 1 h 54 min, 7 days 15 h."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < 10 * _MINUTE_S:
        return _both(whole, _MINUTE_S, 1, ("min", "s"))
    minutes = round(whole / _MINUTE_S) * _MINUTE_S
    if minutes < _HOUR_S:
        return f"{minutes // _MINUTE_S} min"
    if minutes < 2 * _DAY_S:
        return _both(minutes, _HOUR_S, _MINUTE_S, ("h", "min"))
    return _both(round(whole / _HOUR_S) * _HOUR_S, _DAY_S, _HOUR_S, ("days", "h"))


def percentages(least: int, most: int) -> str:
    """Return the bounds of a band: 90 % where the upper one is 100, else 90 to 110 %."""
    if least == most == _WHOLE:
        return "min = max = 100 %"
    return f"{least} %" if most == _WHOLE else f"{least} to {most} %"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _both(whole: int, large: int, small: int, units: tuple[str, str]) -> str:
    first, rest = divmod(whole, large)
    return f"{first} {units[0]}" + (f" {rest // small} {units[1]}" if rest >= small else "")
