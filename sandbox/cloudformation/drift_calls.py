# SPDX-License-Identifier: Apache-2.0
"""The operations of the API on drift.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/detect-drift-stack.html
"""

from __future__ import annotations

import json
import logging
import uuid
from copy import deepcopy
from typing import Any

from sandbox.cloudformation import views
from sandbox.cloudformation.drift import Comparison
from sandbox.cloudformation.engine import Engine
from sandbox.cloudformation.requests import Parameters, find_living, find_stack
from sandbox.cloudformation.schemas import schema
from sandbox.cloudformation.stacks import Drift, Stack, StackResource
from sandbox.cloudformation.steps import call_for, reason_of
from sandbox.cloudformation.template import invalid
from sandbox.cloudformation.workers import in_order
from sandbox.cloudformation.world import World

log = logging.getLogger(__name__)

Answer = dict[str, Any]

_CHECKABLE = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_ROLLBACK_FAILED",
    }
)
_DRIFTED = ("MODIFIED", "DELETED")


def detect_stack_drift(engine: Engine, asked: Parameters) -> Answer:
    """DetectStackDrift: of all resources, or those named. It runs on a thread."""
    world = engine.world
    stack = _checkable(world, asked)
    wanted = asked.get("LogicalResourceIds") or list(stack.resources)
    resources = [_resource(stack, name) for name in wanted]
    drift = Drift(detection_id=str(uuid.uuid4()), stack_id=stack.stack_id, at=world.clock.now())
    world.stacks().detections[drift.detection_id] = drift
    world.stacks().forget_old()
    engine.begin(stack, lambda: _detect(world, stack, resources, drift))
    return {"StackDriftDetectionId": drift.detection_id}


def _checkable(world: World, asked: Parameters) -> Stack:
    stack = find_living(world, asked)
    if stack.status not in _CHECKABLE:
        raise invalid(
            f"Drift detection cannot be performed on stack [{stack.stack_id}] while in status {stack.status}"
        )
    return stack


def _resource(stack: Stack, logical_id: str) -> StackResource:
    if logical_id not in stack.resources:
        raise invalid(f"Resource {logical_id} does not exist for stack {stack.name}")
    return stack.resources[logical_id]


def _detect(world: World, stack: Stack, resources: list[StackResource], drift: Drift) -> None:
    found = in_order(world.workers, lambda each: _read(world, stack, each), resources)
    unread = [each for each in found if isinstance(each, str)]
    with world.lock:
        drift.status = "DETECTION_FAILED" if unread else "DETECTION_COMPLETE"
        drift.reason = "; ".join(unread) or None
        drift.drifted = sum(each.drift_status in _DRIFTED for each in stack.resources.values())
        drift.stack_status = "DRIFTED" if drift.drifted else "IN_SYNC"
        stack.drift_status = drift.stack_status
        stack.drift_checked_at = drift.at
        world.changed()


def _read(world: World, stack: Stack, resource: StackResource) -> str | None:
    """Compare one resource; return why it could not be."""
    handler = world.handlers()[resource.type_name]
    call = call_for(world, stack, resource, lambda: not world.closing.is_set())
    try:
        actual = handler.read(call, resource.physical_id or "")
    except Exception as error:  # one that can't be read must not hide the others
        log.exception("drift of %s in %s", resource.logical_id, stack.name)
        return f"Failed to detect drift on resource [{resource.logical_id}]: {reason_of(error)}"
    _note(world, stack, resource, None if actual is None else deepcopy(dict(actual)))
    return None


def _note(world: World, stack: Stack, resource: StackResource, actual: dict[str, Any] | None) -> None:
    with world.lock:
        names = resource.properties.keys()
        expected = {name: value for name, value in resource.applied.items() if name in names}
        comparison = Comparison(
            schema(resource.type_name),
            resource.tags,
            frozenset(getattr(world.handlers()[resource.type_name], "open_lists", ())),
        )
        shown = views.present(
            StackId=stack.stack_id,
            LogicalResourceId=resource.logical_id,
            PhysicalResourceId=resource.physical_id,
            ResourceType=resource.type_name,
            ExpectedProperties=_json(comparison.comparable(expected)),
            Timestamp=world.clock.now(),
        )
        if actual is None:
            resource.drift_status = "DELETED"
        else:
            differences = [each.shown() for each in comparison.differences(expected, actual)]
            resource.drift_status = "MODIFIED" if differences else "IN_SYNC"
            shown["ActualProperties"] = _json(comparison.presentable(expected, actual))
            shown["PropertyDifferences"] = differences
        resource.drift_checked_at = shown["Timestamp"]
        shown["StackResourceDriftStatus"] = resource.drift_status
        resource.drift = shown


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def describe_stack_drift_detection_status(engine: Engine, asked: Parameters) -> Answer:
    """DescribeStackDriftDetectionStatus."""
    wanted = asked["StackDriftDetectionId"]
    drift = engine.world.stacks().detections.get(wanted)
    if drift is None:
        raise invalid(f"Drift detection with id {wanted} does not exist")
    is_over = drift.status != "DETECTION_IN_PROGRESS"
    return views.present(
        StackId=drift.stack_id,
        StackDriftDetectionId=drift.detection_id,
        DetectionStatus=drift.status,
        DetectionStatusReason=drift.reason,
        StackDriftStatus=drift.stack_status,
        DriftedStackResourceCount=drift.drifted if is_over else None,
        Timestamp=drift.at,
    )


def describe_stack_resource_drifts(engine: Engine, asked: Parameters) -> Answer:
    """DescribeStackResourceDrifts: what the last detection found."""
    stack = find_stack(engine.world, asked)
    wanted = asked.get("StackResourceDriftStatusFilters") or ()
    found = [
        each.drift
        for each in stack.resources.values()
        if each.drift and (not wanted or each.drift_status in wanted)
    ]
    size = int(asked.get("MaxResults") or views.PAGE)
    drifts, token = views.page(found, asked.get("NextToken"), size)
    return views.present(StackResourceDrifts=drifts, NextToken=token)
