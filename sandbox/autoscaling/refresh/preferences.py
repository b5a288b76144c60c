# SPDX-License-Identifier: Apache-2.0
"""The preferences of an instance refresh: ranges, defaults and what is refused.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/understand-instance-refresh-default-values.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.api.errors import AwsError

REFRESH, IGNORE, WAIT, TERMINATE = "Refresh", "Ignore", "Wait", "Terminate"
PROTECTED = (REFRESH, IGNORE, WAIT)
STANDBY = (TERMINATE, IGNORE, WAIT)

MIN_HEALTHY = 90
CHECKPOINT_DELAY_S = 3600
LONGEST_S = 172_800
_MOST_ALARMS = 10
_WIDEST_BAND = 100
# By parameter, the least and the most it may be.
_RANGES = {
    "MinHealthyPercentage": (0, 100),
    "MaxHealthyPercentage": (100, 200),
    "InstanceWarmup": (0, None),
    "CheckpointDelay": (0, LONGEST_S),
    "BakeTime": (0, LONGEST_S),
}
_CHOICES = {"ScaleInProtectedInstances": PROTECTED, "StandbyInstances": STANDBY}


@dataclass(frozen=True, slots=True)
class Preferences:
    """How a refresh goes about it; times in seconds, None where the group's settings or AWS decide."""

    min_healthy: int = MIN_HEALTHY
    max_healthy: int | None = None
    warmup_s: int | None = None
    checkpoints: tuple[int, ...] = ()
    checkpoint_delay_s: int = CHECKPOINT_DELAY_S
    skips_matching: bool = False
    auto_rollback: bool = False
    protected: str = WAIT
    standby: str = WAIT
    alarms: tuple[str, ...] = ()
    refresh_bake_time_s: int = 0


def parse(given: Mapping[str, Any], *, has_desired: bool) -> Preferences:
    """Return preferences as a request gives them.

    Raises:
        AwsError: ValidationError, for what is out of range or does not fit together.
    """
    for name, (least, most) in _RANGES.items():
        _check_range(name, given.get(name), least, most)
    for name, choices in _CHOICES.items():
        _check_choice(name, given.get(name), choices)
    _check_band(given)
    _check_checkpoints(given)
    alarms = (given.get("AlarmSpecification") or {}).get("Alarms") or []
    if len(alarms) > _MOST_ALARMS:
        raise _invalid(f"At most {_MOST_ALARMS} CloudWatch alarms can be specified.")
    if given.get("AutoRollback") and not has_desired:
        raise _invalid(
            "The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is "
            "empty. Set AutoRollback to false or specify a desired configuration and try again."
        )
    return Preferences(
        min_healthy=_or(given.get("MinHealthyPercentage"), MIN_HEALTHY),
        max_healthy=given.get("MaxHealthyPercentage"),
        warmup_s=given.get("InstanceWarmup"),
        checkpoints=tuple(given.get("CheckpointPercentages") or ()),
        checkpoint_delay_s=_or(given.get("CheckpointDelay"), CHECKPOINT_DELAY_S),
        skips_matching=bool(given.get("SkipMatching")),
        auto_rollback=bool(given.get("AutoRollback")),
        protected=given.get("ScaleInProtectedInstances") or WAIT,
        standby=given.get("StandbyInstances") or WAIT,
        alarms=tuple(alarms),
        refresh_bake_time_s=_or(given.get("BakeTime"), 0),
    )


def shown(preferences: Preferences, *, warmup_s: int) -> dict[str, Any]:
    """Return preferences as DescribeInstanceRefreshes shows them; `warmup_s` is what they come to."""
    answer: dict[str, Any] = {
        "MinHealthyPercentage": preferences.min_healthy,
        "MaxHealthyPercentage": preferences.max_healthy,
        "InstanceWarmup": warmup_s,
        "SkipMatching": preferences.skips_matching,
        "AutoRollback": preferences.auto_rollback,
        "ScaleInProtectedInstances": preferences.protected,
        "StandbyInstances": preferences.standby,
    }
    if preferences.checkpoints:
        answer["CheckpointPercentages"] = list(preferences.checkpoints)
        answer["CheckpointDelay"] = preferences.checkpoint_delay_s
    if preferences.alarms:
        answer["AlarmSpecification"] = {"Alarms": list(preferences.alarms)}
    if preferences.refresh_bake_time_s:
        answer["BakeTime"] = preferences.refresh_bake_time_s
    return {name: value for name, value in answer.items() if value is not None}


def _check_range(name: str, value: int | None, least: int, most: int | None) -> None:
    if value is None:
        return
    for is_out, bound, word in (
        (value < least, least, "greater"),
        (most is not None and value > most, most, "less"),
    ):
        if is_out:
            raise _constraint(name, value, f"Member must have value {word} than or equal to {bound}")


def _check_choice(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise _constraint(name, value, f"Member must satisfy enum value set: [{', '.join(choices)}]")


def _check_band(given: Mapping[str, Any]) -> None:
    least, most = given.get("MinHealthyPercentage"), given.get("MaxHealthyPercentage")
    if most is None:
        return
    if least is None:
        raise _invalid("If you specify MaxHealthyPercentage, you must also specify MinHealthyPercentage.")
    if most - least > _WIDEST_BAND:
        raise _invalid(
            "The difference between MinHealthyPercentage and MaxHealthyPercentage cannot be greater than "
            f"{_WIDEST_BAND}."
        )


def _check_checkpoints(given: Mapping[str, Any]) -> None:
    percentages = list(given.get("CheckpointPercentages") or ())
    if given.get("CheckpointDelay") is not None and not percentages:
        raise _invalid("If you specify CheckpointDelay, you must also specify CheckpointPercentages.")
    for each in percentages:
        _check_range("CheckpointPercentages", each, 1, 100)
    if percentages != sorted(set(percentages)):
        raise _invalid("CheckpointPercentages must be unique and in ascending order.")


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _constraint(name: str, value: object, what: str) -> AwsError:
    field = f"preferences.{name[0].lower()}{name[1:]}"
    return _invalid(
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: {what}"
    )


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
