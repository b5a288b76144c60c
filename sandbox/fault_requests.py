# SPDX-License-Identifier: Apache-2.0
"""Faults as they are asked for, in JSON. Each kind has its own keys, and an unknown one is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.faults import (
    API_CODES,
    LAUNCH_CODES,
    ApiFault,
    BootTime,
    Fault,
    LaunchFault,
    Unhealthy,
    Where,
)

DISTRIBUTIONS = ("fixed", "uniform", "exponential", "normal")


class BadFault(Exception):
    """What was asked for is no fault: why, in a sentence."""


def parse(document: Any) -> Fault:
    """Return the fault that a JSON document asks for.

    Raises:
        BadFault: it asks for none.
    """
    if not isinstance(document, dict):
        raise BadFault("a fault is a JSON object")
    given = dict(document)
    kind = given.pop("kind", None)
    if kind not in _KINDS:
        raise BadFault(f"kind: must be one of {', '.join(_KINDS)}")
    keys = _KEYS[kind]
    if unknown := sorted(set(given) - set(keys)):
        raise BadFault(f"{unknown[0]}: a fault of kind {kind} has no such key, only {', '.join(keys)}")
    for key, value in given.items():
        _check(key, value)
    made: Fault = _KINDS[kind](given)
    return made


def describe(fault: Fault) -> dict[str, Any]:
    """Return a fault as it may be asked for."""
    shown: dict[str, Any] = {"kind": next(kind for kind, each in _TYPES.items() if isinstance(fault, each))}
    for key in _KEYS[shown["kind"]]:
        holder = fault.where if key in _WHERE and not isinstance(fault, ApiFault) else fault
        if (value := getattr(holder, key)) is not None:
            shown[key] = value
    return shown


_WHERE = ("zone", "instance_type")
_TYPES: Mapping[str, type[Any]] = {
    "launch": LaunchFault,
    "boot": BootTime,
    "unhealthy": Unhealthy,
    "api": ApiFault,
}
_KEYS: Mapping[str, tuple[str, ...]] = {
    "launch": (*_WHERE, "code", "rate", "count"),
    "boot": (*_WHERE, "distribution", "seconds", "deviation", "low", "high"),
    "unhealthy": (*_WHERE, "rate"),
    "api": ("service", "operation", "code", "rate", "count"),
}


def _launch(given: dict[str, Any]) -> LaunchFault:
    code = _code(given, LAUNCH_CODES)
    return LaunchFault(_where(given), code, given.get("rate", 1.0), given.get("count"))


def _boot(given: dict[str, Any]) -> BootTime:
    distribution = given.get("distribution", "fixed")
    if distribution not in DISTRIBUTIONS:
        raise BadFault(f"distribution: must be one of {', '.join(DISTRIBUTIONS)}")
    if distribution == "uniform" and not ("high" in given and given.get("low", 0) <= given["high"]):
        raise BadFault("high: a uniform distribution needs it, and not below low")
    seconds = {key: float(given[key]) for key in ("seconds", "deviation", "low", "high") if key in given}
    return BootTime(_where(given), distribution, **seconds)


def _unhealthy(given: dict[str, Any]) -> Unhealthy:
    return Unhealthy(_where(given), given.get("rate", 1.0))


def _api(given: dict[str, Any]) -> ApiFault:
    code = _code(given, API_CODES)
    if "operation" in given and "service" not in given:
        raise BadFault("service: an operation needs its service")
    return ApiFault(
        code, given.get("service"), given.get("operation"), given.get("rate", 1.0), given.get("count")
    )


_KINDS: Mapping[str, Callable[[dict[str, Any]], Fault]] = {
    "launch": _launch,
    "boot": _boot,
    "unhealthy": _unhealthy,
    "api": _api,
}


def _where(given: Mapping[str, Any]) -> Where:
    return Where(given.get("zone"), given.get("instance_type"))


def _code(given: Mapping[str, Any], known: Mapping[str, str]) -> str:
    code = given.get("code")
    if code not in known:
        raise BadFault(f"code: must be one of {', '.join(known)}")
    return str(code)


def _check(key: str, value: Any) -> None:
    if key == "count":
        if type(value) is not int or value < 1:
            raise BadFault("count: must be a whole number from 1")
    elif key in ("rate", "seconds", "deviation", "low", "high"):
        if type(value) not in (int, float) or not 0 <= value < float("inf"):
            raise BadFault(f"{key}: must be a number from 0")
        if key == "rate" and value > 1:
            raise BadFault("rate: must be a number from 0 to 1")
    elif not isinstance(value, str) or not value:
        raise BadFault(f"{key}: must be a text")
