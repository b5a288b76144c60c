# SPDX-License-Identifier: Apache-2.0
"""What the operations work with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sandbox.api.errors import AwsError
from sandbox.autoscaling.engine import Engine
from sandbox.autoscaling.facts import Facts
from sandbox.autoscaling.group import Group
from sandbox.autoscaling.member import Member
from sandbox.autoscaling.state import State
from sandbox.clock import RegionClock

Parameters = Mapping[str, Any]
Answer = dict[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Context:
    """State, clock, and what lets groups be looked at.

    Attributes:
        wake: Let a group be looked at soon.
        later: Do something outside the lock, soon: calls of other services.
        client: Return the client of another service; only for what is done later.
    """

    state: Callable[[], State]
    clock: RegionClock
    facts: Facts
    engine: Engine
    wake: Callable[[str], None]
    later: Callable[[Callable[[], None]], None]
    client: Callable[[str], Any]
    account_id: str
    region: str

    def now(self) -> datetime:
        """Return the region's time."""
        return self.clock.now()

    def arn(self, rest: str) -> str:
        """Return an ARN of this service."""
        return f"arn:aws:autoscaling:{self.region}:{self.account_id}:{rest}"

    def group(self, parameters: Parameters) -> Group:
        """Return the group that a request names."""
        name = parameters["AutoScalingGroupName"]
        group = self.state().groups.get(name)
        if group is None:
            raise invalid(f"AutoScalingGroup name not found - no such group: {name}")
        return group

    def members(self, group: Group, parameters: Parameters) -> list[Member]:
        """Return the instances of a group that a request names."""
        members = []
        for instance_id in parameters.get("InstanceIds", ()):
            member = group.members.get(instance_id)
            if member is None:
                raise invalid(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
            members.append(member)
        return members


def invalid(message: str) -> AwsError:
    """Return the error for most of what a request may get wrong."""
    return AwsError("ValidationError", message)


def page(
    items: Sequence[Item], parameters: Parameters, *, usual: int, most: int
) -> tuple[list[Item], Answer]:
    """Return one page of a listing, and the token of the next."""
    size = parameters.get("MaxRecords") or usual
    if not 1 <= size <= most:
        raise invalid(
            f"1 validation error detected: Value '{size}' at 'maxRecords' failed to satisfy constraint: "
            f"Member must have value less than or equal to {most}"
        )
    start = _start(parameters.get("NextToken"))
    end = start + size
    following = {"NextToken": _token(end)} if end < len(items) else {}
    return list(items[start:end]), following


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(f"from:{start}".encode()).decode()


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        kind, _, start = base64.urlsafe_b64decode(token).decode().partition(":")
        if kind == "from" and start.isdigit():
            return int(start)
    except (binascii.Error, UnicodeDecodeError):
        pass
    raise AwsError("InvalidNextToken", "The token is not valid.")
