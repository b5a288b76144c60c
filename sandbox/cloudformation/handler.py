# SPDX-License-Identifier: Apache-2.0
"""What the engine needs of a resource type.

A handler makes the calls that a user of the AWS API would make, against the region itself, so that machines,
networks and services follow. Properties are as the template has them after all intrinsic functions, with
every scalar as the type that the resource's schema gives (numbers and booleans are not strings any more).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Properties = Mapping[str, Any]


class HandlerError(Exception):
    """AWS refused: the reason a stack event shows. ClientErrors of boto3 need not be turned into it."""


class NotUpdatable(HandlerError):
    """This change can't be made in place although the schema does not say so: the resource is replaced."""


@dataclass(frozen=True, slots=True)
class Physical:
    """A resource that exists: what Ref gives, and what Fn::GetAtt gives by attribute name."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler works with.

    Attributes:
        client: Return the boto3 client of a service of this region.
        account_id: The account.
        region: The region's name.
        name: A physical name for a resource whose template gives none, as CloudFormation makes them:
            `<stack>-<logical id>-<random>`, cut to 63 characters; the same at every retry.
        tags: The stack's tags and `aws:cloudformation:*`, to be put on what can carry tags, beside its own.
        former_tags: When a resource is updated, the stack's tags it has had until now.
        is_alive: False once the engine wants the operation to end; long waits look at it.
        sleep: Wait so many seconds of the region's time.
    """

    client: Callable[[str], Any]
    account_id: str
    region: str
    name: str
    tags: Mapping[str, str]
    is_alive: Callable[[], bool]
    sleep: Callable[[float], None]
    former_tags: Mapping[str, str] = field(default_factory=dict)


class Handler(Protocol):
    """One resource type. Stateless: the same object serves every stack.

    `properties` holds the names of all properties that are applied, in dots for nested ones that not all are
    (`NetworkInterfaces.Groups`); a template that has another is refused by name before anything is made. A
    name without dots covers what is below it. Handlers that honour an update or creation policy list
    `UpdatePolicy.X` or `CreationPolicy.X` too, and find it among the properties.

    A handler with a method `snapshot(call, physical_id)` supports the deletion policy Snapshot.
    One with `open_lists` names properties that are lists of keys and values of which `read` shows all there
    are: the template's list need only be a part of it (LoadBalancerAttributes).
    """

    type_name: str
    properties: frozenset[str]

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the resource and return when it is ready.

        When it fails half-way it removes what it had made. A create repeated with the same `call.name`
        must not make a second resource where AWS itself would refuse one of that name.
        """

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the properties as they stand now, in the template's shape; None if it is gone.

        A property that can't be read back (a password) is left out; it must be write-only in the schema too.
        What AWS fills in by default may be there although the template does not have it.
        """

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the resource in place. Never asked for properties that the schema says are create-only."""

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the resource and return when it is gone; one that is gone already is no error."""
