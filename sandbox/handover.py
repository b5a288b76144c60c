# SPDX-License-Identifier: Apache-2.0
"""Hand long lists over as they are, in calls that the region makes of itself.

Such a call is an API call in all else. To put thousands of instances in words and to read them again, in the
request and in the answer, takes longer than what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.api.iam_conditions import current_environ

# Where the environment of a request has it; nothing of a request comes into it that is not the region's own.
KEY = "slipway.handover"
# Shorter lists are put in words.
MOST_IN_WORDS = 20
# By operation, the list of the request that may be long.
LISTS: Mapping[str, str] = {
    "DeregisterTargets": "Targets",
    "DescribeTargetHealth": "Targets",
    "RegisterTargets": "Targets",
    "TerminateInstances": "InstanceIds",
}


@dataclass
class Handover:
    """What goes beside the words of one call: a list of the request, and what the answer gains."""

    given: Sequence[Any] | None = None
    told: dict[str, Any] = field(default_factory=dict)


def taking(operation: str, original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a method of moto's responses that finds the list that was handed over in its parameters."""

    def answer(response: Any) -> Any:
        beside = current()
        if beside is not None and beside.given is not None:
            response.params[LISTS[operation]] = beside.given
        return original(response)

    return answer


def current() -> Handover | None:
    """Return what goes beside the call that is being answered; None if the caller isn't the region."""
    found: Handover | None = (current_environ.get() or {}).get(KEY)
    return found
