# SPDX-License-Identifier: Apache-2.0
"""How times and numbers of machines read, the same in plans, views and pictures. Pure."""

from __future__ import annotations

from orchestrator.domain.forecast.course import Spread

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
# Below this, seconds still matter.
_SECONDS_UP_TO_S = 120


def clock(seconds: float) -> str:
    """Return a time as a clock shows it: `4:10`, `1:04:10`, `3d 01:04:10`; nothing is before 0:00."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, _DAY_S)
    hours, rest = divmod(rest, _HOUR_S)
    minutes, left = divmod(rest, _MINUTE_S)
    if days:
        return f"{days}d {hours:02}:{minutes:02}:{left:02}"
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def duration(seconds: float) -> str:
    """Return about how long something takes: `75 s`, `12 min`, `1 h 25 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < _SECONDS_UP_TO_S:
        return f"{whole} s"
    minutes = round(whole / _MINUTE_S)
    hours, left = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    if hours < 24:  # noqa: PLR2004 - a day
        return f"{hours} h {left} min" if left else f"{hours} h"
    days, hours = divmod(round(whole / _HOUR_S), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def spread(value: Spread) -> str:
    """Return what is likely and between what: `12 min (10 min to 15 min)`."""
    low, likely, high = duration(value.low), duration(value.likely), duration(value.high)
    return likely if low == high else f"{likely} ({low} to {high})"


def counted(number: int, noun: str) -> str:
    """Return a number of things: `1 machine`, `4 machines`, `1,200 machines`."""
    if number != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}{'es' if noun.endswith('ch') else 's'}"
    return f"{number:,} {noun}"
