# SPDX-License-Identifier: Apache-2.0
"""Make a plan of what was observed: the images, the course it will take, and whether it could be undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from orchestrator.config.fleets import Fleet
from orchestrator.domain.fleet import FleetInstance
from orchestrator.domain.forecast import forecast, measured_timing
from orchestrator.domain.forecast.course import FleetShape, Spread, Timing
from orchestrator.domain.preflight.situation import Intent
from orchestrator.domain.preflight_finding import Finding
from orchestrator.domain.refresh import ProtectedInstances, RefreshPreferences
from orchestrator.domain.rollout.plan import Action, RollbackOutlook, RolloutPlan, RolloutTarget
from orchestrator.domain.rollout.record import Phase, RolloutRecord
from orchestrator.workflows.rollout import preflight
from orchestrator.workflows.rollout.choice import Choice, choose, image_change
from orchestrator.workflows.rollout.observe import Observation
from orchestrator.workflows.rollout.proposal import propose
from orchestrator.workflows.rollout.world import RolloutWorld

# What a machine takes when its group has not launched enough to measure it: boot, and its launch hook.
_ASSUMED_BOOT_S = Spread(30, 90, 240)
_FASTEST_LEAVE_S = 5


def make_plan(
    world: RolloutWorld, observation: Observation, *, optimise: bool = False, is_undo: bool = False
) -> RolloutPlan:
    """Return the plan of a rollout; nothing is changed by it.

    Args:
        is_undo: The image is known to be good and urgently wanted: there are no checkpoints to wait at.

    Raises:
        Refused: There is no image to roll out, or another one is being rolled out.
    """
    choice = choose(observation)
    preferences = _preferences(observation, choice, is_undo=is_undo)
    timing = _timing(observation, preferences)
    shape = _shape(world, observation, choice, preferences)
    course = forecast(shape, preferences, timing)
    plan = RolloutPlan(
        target=observation.target,
        action=choice.action,
        group=observation.group.name,
        server_class=observation.fleet.server_class,
        template_id=observation.group.template_id,
        source_version=observation.source.number,
        image=image_change(world, observation, choice),
        machines_by_zone=observation.group.by_zone(),
        preferences=preferences,
        max_failures=observation.fleet.rollout.max_failures,
        timing=timing,
        course=course,
        rollback=outlook(observation, choice),
        reuses_version=choice.version,
        newest_refresh=observation.refreshes[0].refresh_id if observation.refreshes else "",
        pointer=observation.pointer,
        attaches_to=choice.attaches_to,
    )
    if optimise:
        plan = replace(plan, proposal=_proposal(world, observation, plan, shape))
    return replace(plan, findings=_findings(world, observation, plan))


def configured_preferences(fleet: Fleet) -> RefreshPreferences:
    """Return the preferences that the environment's file gives a fleet."""
    policy = fleet.rollout
    return RefreshPreferences(
        min_healthy_percentage=policy.min_healthy_percentage,
        max_healthy_percentage=policy.max_healthy_percentage,
        instance_warmup_s=policy.instance_warmup_s,
        checkpoint_percentages=policy.checkpoint_percentages,
        checkpoint_delay_s=policy.checkpoint_delay_s if policy.checkpoint_percentages else None,
        skip_matching=True,
        auto_rollback=True,
        scale_in_protected_instances=policy.scale_in_protected_instances,
        standby_instances=policy.standby_instances,
        alarms=policy.alarms,
        refresh_bake_time_s=policy.refresh_bake_time_s,
    )


def outlook(observation: Observation, choice: Choice) -> RollbackOutlook:
    """Return whether AWS could take the rollout back, and why.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-rollback.html
    """
    source, old = observation.source, observation.image(choice.old_ami_id)
    if observation.group.numbered_version is None:
        why = f"the group names {observation.group.template_version}, and AWS only goes back to a number"
    elif source.ami_id.startswith("resolve:"):
        why = f"version {source.number} names its image by an SSM parameter, which AWS does not go back to"
    elif source.ami_id == choice.new_ami_id:
        why = f"the group names the new image already, in version {source.number}"
    elif old is None:
        why = f"the old image {choice.old_ami_id} is gone: no machine of it could be launched"
    else:
        return RollbackOutlook(
            is_possible=True,
            why=f"the group stays on version {source.number} until all is done, and {old.name} is there",
        )
    return RollbackOutlook(is_possible=False, why=why)


def _preferences(observation: Observation, choice: Choice, *, is_undo: bool) -> RefreshPreferences:
    if record := observation.active_record:
        return record.preferences
    if choice.action is Action.ATTACH and observation.active_refresh:
        return observation.active_refresh.preferences
    configured = configured_preferences(observation.fleet)
    if not is_undo:
        return configured
    return replace(configured, checkpoint_percentages=(), checkpoint_delay_s=None, refresh_bake_time_s=0)


def _timing(observation: Observation, preferences: RefreshPreferences) -> Timing:
    drain_s = float(observation.fleet.drain_s)
    warmup_s = preferences.instance_warmup_s or 0
    leave_s = Spread(_FASTEST_LEAVE_S, max(drain_s, _FASTEST_LEAVE_S), 2 * drain_s + _FASTEST_LEAVE_S)
    assumed = Timing(boot_s=_ASSUMED_BOOT_S, warmup_s=warmup_s, leave_s=leave_s)
    return measured_timing(observation.activities, warmup_s=warmup_s, assumed=assumed)


def _shape(
    world: RolloutWorld, observation: Observation, choice: Choice, preferences: RefreshPreferences
) -> FleetShape:
    group = observation.group
    stays_protected = preferences.scale_in_protected_instances is ProtectedInstances.IGNORE

    def matches(machine: FleetInstance) -> bool:
        return choice.version is not None and machine.is_of(group.template_id, choice.version)

    def stays(machine: FleetInstance) -> bool:
        return matches(machine) or (machine.is_protected and stays_protected)

    return FleetShape(
        to_replace=_by_zone(each for each in group.in_service if not stays(each)),
        to_keep=_by_zone(each for each in group.in_service if stays(each)),
        desired=group.desired_capacity,
        max_size=group.max_size,
        machine_usd_per_hour=world.hourly_usd.get(observation.source.instance_type, 0.0),
        not_matching=sum(stays(each) and not matches(each) for each in group.in_service),
    )


def _by_zone(machines: Iterable[FleetInstance]) -> Mapping[str, int]:
    return Counter(each.zone for each in machines)


def _proposal(
    world: RolloutWorld, observation: Observation, plan: RolloutPlan, shape: FleetShape
) -> tuple[str, ...]:
    return propose(
        world,
        observation.fleet.rollout,
        observation.group,
        instance_type=observation.source.instance_type,
        shape=shape,
        timing=plan.timing,
        preferences=plan.preferences,
        course=plan.course,
    )


def _findings(world: RolloutWorld, observation: Observation, plan: RolloutPlan) -> tuple[Finding, ...]:
    if plan.action is not Action.START:
        return ()
    last = observation.kept.record if observation.kept else None
    target = observation.target
    intent = Intent(
        environment=target.environment,
        account_id=world.environment.account_id,
        fleet=target.fleet,
        server_class=world.environment.fleets[target.fleet].server_class,
        group=observation.group,
        source=observation.source,
        new_ami_id=plan.image.new_ami_id,
        preferences=plan.preferences,
        course=plan.course,
        refreshes=observation.refreshes,
        own_refresh_ids=last.refresh_ids if last else (),
        is_paused_by_us=bool(last and last.pause),
        taken_back_by=_taken_back_by(last, target, plan.image.new_ami_id),
    )
    return preflight.findings(world, intent)


def _taken_back_by(last: RolloutRecord | None, target: RolloutTarget, ami_id: str) -> str:
    """Return the latest rollout if it took an image back that nobody has asked for by its id."""
    is_tried = last is not None and last.phase is Phase.ROLLED_BACK and last.new_ami_id == ami_id
    is_named = bool(target.ami_id) and not target.is_chosen
    return last.rollout_id if last and is_tried and not is_named else ""
