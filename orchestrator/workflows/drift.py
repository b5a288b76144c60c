# SPDX-License-Identifier: Apache-2.0
"""Show how what is there differs from what the stacks say: detect -> wait -> compare. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.clock import wait_until
from orchestrator.domain.drift import DriftKind, ResourceDrift, unintended
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.stack import Health, StackState
from orchestrator.errors import AwsError, DriftFound
from orchestrator.ports import Reporter
from orchestrator.workflows.provision.world import ProvisionWorld, Request, existing, side_by_side
from orchestrator.workflows.rollout.names import group_name, pointer_name

_LIMIT = timedelta(minutes=30)
_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What was found. `skipped` are stacks that can't be looked at, with the reason."""

    title: str
    looked_at: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    drifts: tuple[ResourceDrift, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the report for `--json`."""
        return {
            "title": self.title,
            "stacks": list(self.looked_at),
            "skipped": dict(self.skipped),
            "drift": [each.as_dict() for each in self.drifts],
        }

    def lines(self) -> tuple[str, ...]:
        """Return the report as an operator reads it."""
        skipped = tuple(f"not looked at: {name} is {status}" for name, status in self.skipped)
        if not self.looked_at:
            return (f"{self.title}: no stack to look at", *skipped)
        if not self.drifts:
            return (f"{self.title}: no drift, {len(self.looked_at)} looked at", *skipped)
        return (*(line for each in self.drifts for line in _lines(each)), *skipped)


def _lines(drift: ResourceDrift) -> Iterable[str]:
    head = f"{drift.stack}/{drift.logical_id} ({drift.type_name}, {drift.physical_id})"
    if drift.kind is DriftKind.DELETED:
        yield f"{head}: is gone"
        return
    yield f"{head}:"
    width = max(len(each.path) for each in drift.differences)
    for each in drift.differences:
        yield f"    {each.path.ljust(width)}  template: {_shown(each.expected)}"
        yield f"    {' ' * width}  live:     {_shown(each.actual)}"


def _shown(value: str) -> str:
    return value if value not in ("", "null") else "(nothing)"


def look(world: ProvisionWorld, request: Request, reporter: Reporter) -> DriftReport:
    """Let CloudFormation compare every stack of the request with what is there.

    Raises:
        AwsError: It could not.
    """
    world.guard_account()
    found = existing(request, world.scope, world.stacks.all())
    sound = [state for state in found if state.health is Health.SOUND]
    skipped = tuple((state.name, state.status) for state in found if state.health is not Health.SOUND)
    drifts = side_by_side(world, lambda state: _of_stack(world, state, reporter), sound)
    return DriftReport(
        title=request.title,
        looked_at=tuple(state.name for state in sound),
        skipped=skipped,
        drifts=tuple(each for some in drifts for each in some),
    )


def _of_stack(world: ProvisionWorld, state: StackState, reporter: Reporter) -> tuple[ResourceDrift, ...]:
    reporter.step(state.name, "comparing")
    detection_id = world.stacks.detect_drift(state.name)
    detection = wait_until(
        lambda: world.stacks.drift_detection(detection_id),
        lambda seen: seen.is_done,
        clock=world.clock,
        timeout=_LIMIT,
        what=f"drift detection of {state.name}",
        interval_s=_INTERVAL_S,
    )
    drifts = unintended(
        world.stacks.drifts(state.name), is_rolled=lambda group, version: _is_rolled(world, group, version)
    )
    if detection.has_failed:
        # What it could compare is still there, but it may not be all.
        raise AwsError("cloudformation", "DetectStackDrift", "DriftDetectionFailed", detection.reason)
    reporter.done(state.name, f"different: {len(drifts)}" if drifts else "no drift")
    return drifts


def _is_rolled(world: ProvisionWorld, group: str, version: str) -> bool:
    """Tell whether a version of a fleet's launch template launches what the fleet's parameter names.

    A rollout that has just succeeded writes the parameter some moments later.
    """
    targets = (
        RolloutTarget(environment.name, fleet)
        for environment in world.scope.environments.values()
        for fleet in environment.fleets
    )
    target = next((each for each in targets if group_name(each) == group), None)
    if target is None:
        return False
    template_id, pointer = world.fleets.group(group).template_id, pointer_name(target)
    launched = world.launch_templates.version(template_id, version).ami_id
    return world.parameters.get([pointer]).get(pointer) == launched


def refuse_drift(request: Request, report: DriftReport) -> None:
    """Raise DriftFound if there is drift, so that a pipeline notices."""
    if report.drifts:
        raise DriftFound(
            request.title,
            f"not as its stacks say: {len(report.drifts)} resources",
            drift=report.as_dict(),
            next_command="set it right by hand, or put it into the configuration and provision it",
        )
