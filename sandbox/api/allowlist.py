# SPDX-License-Identifier: Apache-2.0
"""Decide whether the region supports a call, by the files in supported/ and nothing else.

There is one file a service, named as botocore names it, with its operations. Anything else is answered with
UnsupportedOperation. `takes` lists the parameters of an operation that would otherwise be ignored in silence
if they were not listed; `refuses` lists the few that are not taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sandbox.api.calls import ApiCall
from sandbox.api.errors import unsupported

SUPPORTED = Path(__file__).with_name("supported")


@dataclass(frozen=True, slots=True)
class Operation:
    """What is supported of an operation: `takes` None means every parameter that is not in `refuses`."""

    takes: frozenset[str] | None = None
    refuses: frozenset[str] = frozenset()

    def unsupported_parameters(self, names: Iterable[str]) -> list[str]:
        """Return the names this operation would have to ignore."""
        given = set(names)
        refused = given & self.refuses
        if self.takes is not None:
            refused |= given - self.takes
        return sorted(refused)


Supported = Mapping[str, Mapping[str, Operation]]


@cache
def supported() -> Supported:
    """Load the files."""
    return {path.stem: _operations(path) for path in SUPPORTED.glob("*.yaml")}


def _operations(path: Path) -> dict[str, Operation]:
    document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return {name: _operation(limits) for name, limits in document.items()}


def _operation(limits: dict[str, list[str]] | None) -> Operation:
    limits = limits or {}
    takes = limits.get("takes")
    return Operation(
        takes=None if takes is None else frozenset(takes),
        refuses=frozenset(limits.get("refuses", ())),
    )


def check(call: ApiCall) -> None:
    """Refuse a call that the region does not support.

    Raises:
        AwsError: UnsupportedOperation, naming the operation and the parameters.
    """
    service = call.target.service
    operation = supported().get(service, {}).get(call.operation or "")
    if operation is None:
        raise unsupported(f"{service}.{call.operation or 'unknown'}")
    if operation.takes is None and not operation.refuses:
        return
    given = [name for name, value in call.parameters().items() if value not in (None, [], {})]
    if refused := operation.unsupported_parameters(given):
        raise unsupported(f"{service}.{call.operation} with {', '.join(refused)}")
