# SPDX-License-Identifier: Apache-2.0
"""Make, change and remove one resource, and say in the stack's events how it went."""

from __future__ import annotations

import logging
import random
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.api.errors import AwsError
from sandbox.cloudformation.handler import Call, Handler, HandlerError, NotUpdatable
from sandbox.cloudformation.intrinsics import Unresolvable
from sandbox.cloudformation.stacks import Stack, StackResource
from sandbox.cloudformation.walk import Interrupted, StepFailed
from sandbox.cloudformation.world import World

log = logging.getLogger(__name__)

_NAME_LIMIT = 63
_DRAWN = 12
_drawing = random.SystemRandom()


def physical_name(stack_name: str, logical_id: str) -> str:
    """Return a name for a resource that has none of its own, as CloudFormation makes them.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
    """
    drawn = "".join(_drawing.choices(string.ascii_uppercase + string.digits, k=_DRAWN))
    room = _NAME_LIMIT - _DRAWN - 2
    logical = logical_id[: max(room // 2, room - len(stack_name))]
    return f"{stack_name[: room - len(logical)]}-{logical}-{drawn}"


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one operation on one stack; `is_wanted` says whether it shall go on."""

    world: World
    stack: Stack
    is_wanted: Callable[[], bool]

    def is_alive(self) -> bool:
        """Return whether whoever waits shall go on waiting."""
        return self.is_wanted() and not self.world.closing.is_set()

    def check_alive(self) -> None:
        """Stop here when the region ends.

        Raises:
            Interrupted: it does.
        """
        if self.world.closing.is_set():
            raise Interrupted

    def create(self, resource: StackResource, properties: Mapping[str, Any]) -> None:
        """Make a resource; it has its physical id afterwards."""
        handler = self._handler(resource)
        with self.failing_as(resource, "CREATE_FAILED"):
            physical = handler.create(self._call(resource), deepcopy(dict(properties)))
        with self.world.lock:
            resource.physical_id = physical.physical_id
            resource.attributes = dict(physical.attributes)

    def update(
        self,
        resource: StackResource,
        *,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        former_tags: Mapping[str, str],
    ) -> None:
        """Change a resource in place.

        Raises:
            NotUpdatable: it takes another resource.
        """
        handler = self._handler(resource)
        with self.failing_as(resource, "UPDATE_FAILED"):
            physical = handler.update(
                replace(self._call(resource), former_tags=former_tags),
                resource.physical_id or "",
                before=deepcopy(dict(before)),
                after=deepcopy(dict(after)),
            )
        with self.world.lock:
            resource.physical_id = physical.physical_id
            resource.attributes = dict(physical.attributes)

    def delete(self, resource: StackResource, policy: str) -> None:
        """Remove a resource, or leave it, as its policy says."""
        if resource.physical_id is None:
            self.world.mark(self.stack, resource, "DELETE_COMPLETE")
            return
        if policy in ("Retain", "RetainExceptOnCreate"):
            self.world.mark(self.stack, resource, "DELETE_SKIPPED")
            return
        handler = self._handler(resource)
        self.world.mark(self.stack, resource, "DELETE_IN_PROGRESS")
        with self.failing_as(resource, "DELETE_FAILED"):
            call = self._call(resource)
            if policy == "Snapshot":
                handler.snapshot(call, resource.physical_id)  # type: ignore[attr-defined]
            handler.delete(call, resource.physical_id, deepcopy(resource.applied))
        self.world.mark(self.stack, resource, "DELETE_COMPLETE")

    @contextmanager
    def failing_as(self, resource: StackResource, status: str) -> Iterator[None]:
        """Bring the resource into `status` if the block fails, whatever fails in it.

        Raises:
            StepFailed: it did.
        """
        try:
            yield
        except (NotUpdatable, Interrupted):
            raise
        except Exception as error:
            # Whatever a handler raises must end in the stack's events, or the stack would hang for ever.
            if self.world.closing.is_set():
                raise Interrupted from error
            if not isinstance(error, HandlerError | Unresolvable | ClientError | BotoCoreError):
                log.exception("%s of %s failed", status, resource.logical_id)
            is_cancelled = status != "DELETE_FAILED" and not self.is_wanted()
            kind = "creation" if status == "CREATE_FAILED" else "update"
            reason = f"Resource {kind} cancelled" if is_cancelled else reason_of(error)
            self.world.mark(self.stack, resource, status, reason)
            raise StepFailed(resource.logical_id) from error

    def _handler(self, resource: StackResource) -> Handler:
        return self.world.handlers()[resource.type_name]

    def _call(self, resource: StackResource) -> Call:
        return call_for(self.world, self.stack, resource, self.is_alive)


def call_for(world: World, stack: Stack, resource: StackResource, is_alive: Callable[[], bool]) -> Call:
    """Return what a handler works with.

    Every resource carries the stack's tags and three of CloudFormation's:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-resource-tags.html
    """
    return Call(
        client=world.client,
        account_id=world.account_id,
        region=world.region,
        name=resource.name,
        tags={
            **resource.tags,
            "aws:cloudformation:stack-name": stack.name,
            "aws:cloudformation:stack-id": stack.stack_id,
            "aws:cloudformation:logical-id": resource.logical_id,
        },
        is_alive=is_alive,
        sleep=lambda seconds: world.sleep(seconds, is_alive),
    )


def reason_of(error: Exception) -> str:
    """Return an error in the words of a stack event."""
    if isinstance(error, ClientError):
        answer = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        code = answer["Error"]["Code"]
        message = answer["Error"].get("Message") or code
        return f"{message} ({error.operation_name}; Status Code: {status}; Error Code: {code})"
    if isinstance(error, AwsError):
        return error.message
    if isinstance(error, HandlerError | Unresolvable | BotoCoreError | ValueError):
        return str(error) or type(error).__name__
    return f"Internal Failure ({type(error).__name__}: {error})"
