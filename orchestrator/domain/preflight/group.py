# SPDX-License-Identifier: Apache-2.0
"""Checks of the group: what it is doing, its settings, its machines and its hooks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.domain.fleet import FleetInstance, LifecycleHook
from orchestrator.domain.preflight.check import Check, counted, listed
from orchestrator.domain.preflight.facts import known
from orchestrator.domain.preflight.situation import Situation
from orchestrator.domain.preflight_finding import Level
from orchestrator.domain.refresh import ProtectedInstances, StandbyInstances

# How long AWS goes on trying before it fails a refresh.
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
_HOUR_S = 3600

# Without these no machine is replaced, or none is reached when it is.
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
_REFRESH = "InstanceRefresh"
_NEEDED = ("Launch", "Terminate", _REFRESH)
_JOINS_BALANCER = "AddToLoadBalancer"
# Without these a bad machine is not told from a good one, or not replaced.
_WATCHING = ("HealthCheck", "ReplaceUnhealthy")


def _no_other_refresh(situation: Situation) -> Iterator[str]:
    own = situation.intent.own_refresh_ids
    for refresh in situation.intent.refreshes:
        if refresh.status.is_active and refresh.refresh_id not in own:
            yield f"refresh {refresh.refresh_id} is {refresh.status}, {refresh.percentage} % done"


def _processes_run(situation: Situation) -> Iterator[str]:
    needed = [*_NEEDED, *([_JOINS_BALANCER] if situation.group.target_group_arns else [])]
    if situation.intent.is_paused_by_us:
        needed.remove(_REFRESH)
    yield from _suspended(situation, needed)


def _health_is_watched(situation: Situation) -> Iterator[str]:
    yield from _suspended(situation, _WATCHING)


def _suspended(situation: Situation, processes: Iterable[str]) -> Iterator[str]:
    for process in processes:
        if (reason := situation.group.suspended.get(process)) is not None:
            yield f"process {process} is suspended" + (f" ({reason})" if reason else "")


def _judges_by_the_balancer(situation: Situation) -> Iterator[str]:
    group = situation.group
    if group.target_group_arns and "ELB" not in group.health_check_type.split(","):
        yield f"{group.name} is behind a load balancer, but its health checks are {group.health_check_type}"


def _protected_do_not_block(situation: Situation) -> Iterator[str]:
    how = situation.intent.preferences.scale_in_protected_instances
    if how is ProtectedInstances.WAIT and (found := _protected(situation)):
        yield f"{listed(found)} must lose their protection from scale-in within an hour, else it fails"


def _protected_are_replaced(situation: Situation) -> Iterator[str]:
    how = situation.intent.preferences.scale_in_protected_instances
    if how is ProtectedInstances.IGNORE and (found := _protected(situation)):
        yield f"{listed(found)} stay on the old image: protected from scale-in, which is to be ignored"


def _standby_does_not_block(situation: Situation) -> Iterator[str]:
    how = situation.intent.preferences.standby_instances
    if how is StandbyInstances.WAIT and (found := _in_standby(situation)):
        yield f"{listed(found)} must leave standby within an hour, else it fails"


def _standby_is_replaced(situation: Situation) -> Iterator[str]:
    how = situation.intent.preferences.standby_instances
    if how is StandbyInstances.IGNORE and (found := _in_standby(situation)):
        yield f"{listed(found)} stay on the old image: in standby, which is to be ignored"


def _protected(situation: Situation) -> list[str]:
    return _ids(each for each in situation.group.in_service if each.is_protected)


def _in_standby(situation: Situation) -> list[str]:
    return _ids(each for each in situation.group.instances if each.is_standby)


def _ids(instances: Iterable[FleetInstance]) -> list[str]:
    return sorted(each.instance_id for each in instances)


def _hooks_end_within_the_hour(situation: Situation) -> Iterator[str]:
    for hook in known(situation.hooks):
        if hook.heartbeat_s >= _HOUR_S:
            yield (
                f"hook {hook.name} holds a {_kind(hook)} for {hook.heartbeat_s} s, "
                f"and up to {hook.global_timeout_s} s with heartbeats"
            )


def _hooks_give_up(situation: Situation) -> Iterator[str]:
    for hook in known(situation.hooks):
        if hook.is_on_launch and hook.default_result != "ABANDON":
            yield f"hook {hook.name} lets a machine in that never says it is ready"


def _kind(hook: LifecycleHook) -> str:
    return "launch" if hook.is_on_launch else "termination"


def _capacity_is_whole(situation: Situation) -> Iterator[str]:
    group = situation.group
    sound = sum(each.is_healthy for each in group.in_service)
    standby = sum(each.is_standby for each in group.instances)
    if sound < group.desired_capacity:
        aside = f", {standby} in standby" if standby else ""
        yield f"{sound} of {counted(group.desired_capacity, 'machine')} are in service and healthy{aside}"


def _zones_are_used(situation: Situation) -> Iterator[str]:
    by_zone = situation.group.by_zone()
    if situation.group.desired_capacity < len(by_zone) or not situation.group.in_service:
        return
    if empty := [zone for zone, machines in by_zone.items() if not machines]:
        yield f"no machine is in service in {listed(empty)}"


def _chooses_by_itself(situation: Situation) -> Iterator[str]:
    for policy in situation.group.termination_policies:
        if policy.startswith("arn:"):
            yield f"the function {policy} chooses which machines go"


_RESUME = (
    "find out who suspended it, then: `aws autoscaling resume-processes --auto-scaling-group-name {group}`"
)

CHECKS = (
    Check(
        "no-other-refresh",
        Level.ERROR,
        "No other refresh of the group is active: AWS takes one at a time.",
        "look at it with `invoke rollout.status`, then let it end, or cancel it with `invoke rollout.abort`",
        _no_other_refresh,
    ),
    Check(
        "processes-run",
        Level.ERROR,
        "None of the processes is suspended that replace machines (Launch, Terminate, InstanceRefresh) or "
        "bring them to the load balancer (AddToLoadBalancer).",
        _RESUME,
        _processes_run,
    ),
    Check(
        "health-is-watched",
        Level.WARNING,
        "HealthCheck and ReplaceUnhealthy are not suspended: without these processes a bad machine stays.",
        _RESUME,
        _health_is_watched,
    ),
    Check(
        "balancer-judges",
        Level.WARNING,
        "A group behind a load balancer takes the balancer's word for its machines' health: else a machine "
        "that runs but answers nothing counts as healthy.",
        "give the group the health check type ELB: `invoke provision --environment {environment}`",
        _judges_by_the_balancer,
    ),
    Check(
        "protected-machines-wait",
        Level.ERROR,
        "With scale_in_protected_instances: Wait, no machine is protected: AWS would wait an hour and fail.",
        "take the protection away, or set rollout.scale_in_protected_instances to Refresh or Ignore",
        _protected_do_not_block,
    ),
    Check(
        "protected-machines-stay",
        Level.WARNING,
        "With scale_in_protected_instances: Ignore, no machine is protected: it would keep the old image.",
        "take the protection away, or set rollout.scale_in_protected_instances to Refresh",
        _protected_are_replaced,
    ),
    Check(
        "standby-machines-wait",
        Level.ERROR,
        "With standby_instances: Wait, no machine is in standby: AWS would wait an hour and then fail.",
        "put the machines back into service, or set rollout.standby_instances to Terminate or Ignore",
        _standby_does_not_block,
    ),
    Check(
        "standby-machines-stay",
        Level.WARNING,
        "With standby_instances: Ignore, no machine is in standby: it would keep the old image.",
        "put the machines back into service, or set rollout.standby_instances to Terminate",
        _standby_is_replaced,
    ),
    Check(
        "hooks-within-the-hour",
        Level.WARNING,
        "No lifecycle hook waits for an hour or longer: as long as AWS goes on trying before it fails a "
        "refresh, so one machine that says nothing could use all of it up.",
        "shorten the hook: the fleet's launch_timeout_s or drain_s",
        _hooks_end_within_the_hour,
    ),
    Check(
        "launch-hooks-give-up",
        Level.WARNING,
        "A launch hook that is not answered gives the machine up instead of letting it in.",
        "give the hook the default result ABANDON: `invoke provision --environment {environment}`",
        _hooks_give_up,
    ),
    Check(
        "capacity-is-whole",
        Level.WARNING,
        "As many machines are in service and healthy as are desired: a group that lacks some already has "
        "fewer to spare.",
        "find out why first: `invoke rollout.status --environment {environment} --fleet {fleet}`",
        _capacity_is_whole,
    ),
    Check(
        "zones-are-used",
        Level.WARNING,
        "Each of the group's zones has a machine in service, if there are enough of them.",
        "find out why the zone gets none: `aws autoscaling describe-scaling-activities "
        "--auto-scaling-group-name {group}`",
        _zones_are_used,
    ),
    Check(
        "termination-policy",
        Level.WARNING,
        "AWS chooses which machines go, and no function of one's own: if that names none, the refresh fails "
        "after an hour.",
        "make sure that the function answers for the cause INSTANCE_REFRESH",
        _chooses_by_itself,
    ),
)
