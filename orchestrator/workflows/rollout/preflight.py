# SPDX-License-Identifier: Apache-2.0
"""Look up what decides whether a rollout can go well, and check it. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from orchestrator.domain.fleet import TargetHealth
from orchestrator.domain.image import parse_image_name
from orchestrator.domain.manifest import Manifest
from orchestrator.domain.preflight import check
from orchestrator.domain.preflight.facts import CannotTell, Fact, ImageFact, Unread, known
from orchestrator.domain.preflight.situation import PARAMETER_PREFIX, Holder, Intent, Situation
from orchestrator.domain.preflight_finding import Finding
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.stack import EnvironmentStack, StackState, stack_name
from orchestrator.errors import NotFound, SlipwayError
from orchestrator.ports import Lock
from orchestrator.workflows.bake_ami.publication import manifest_key
from orchestrator.workflows.provision.guards import environment_lock
from orchestrator.workflows.rollout.names import lock_name
from orchestrator.workflows.rollout.world import RolloutWorld

T = TypeVar("T")

# So many lookups are under way at once: it takes little longer than the slowest, and no bucket of calls
# (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html) is emptied by it.
MOST_AT_ONCE = 8


def findings(world: RolloutWorld, intent: Intent) -> tuple[Finding, ...]:
    """Return what speaks against the rollout, errors first."""
    return check(gather(world, intent))


def gather(world: RolloutWorld, intent: Intent) -> Situation:
    """Look everything up, each thing once and several at a time; what can't be read is noted as such."""
    images = _read(lambda: _images(world, intent))
    lookups = {
        **_launch_lookups(world, intent),
        **_outside_lookups(world, intent),
        "has_boot_record": lambda: _has_boot_record(world, images, intent.new_ami_id),
    }
    with ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="preflight") as pool:
        begun = {name: pool.submit(_read, lookup) for name, lookup in lookups.items()}
        facts: dict[str, Any] = {name: future.result() for name, future in begun.items()}
    return Situation(now=world.clock.now(), intent=intent, images=images, **facts)


Lookups = Mapping[str, Callable[[], Any]]


def _read(lookup: Callable[[], T]) -> Fact[T]:
    """Return a fact, or that it could not be read."""
    try:
        return lookup()
    except CannotTell as exc:
        return exc.unread
    except SlipwayError as exc:
        # AwsError names the call: `ec2 DescribeImages`.
        return Unread(exc.what, exc.cause)


def _launch_lookups(world: RolloutWorld, intent: Intent) -> Lookups:
    """Return what a launch depends on, by the situation's names; what is not named is not looked up."""
    facts, group, source = world.facts, intent.group, intent.source
    return {
        "instance_type": lambda: facts.instance_type(source.instance_type),
        "offered_in": lambda: facts.zones_offering(source.instance_type),
        "vcpus": lambda: facts.vcpu_room(source.instance_type),
        "subnets": lambda: facts.subnets(group.subnet_ids) if group.subnet_ids else {},
        "security_groups": lambda: (
            facts.security_groups(source.security_group_ids) if source.security_group_ids else frozenset()
        ),
        "has_key_pair": lambda: not source.key_name or facts.has_key_pair(source.key_name),
        "has_instance_profile": lambda: (
            not source.instance_profile or facts.has_instance_profile(source.instance_profile)
        ),
    }


def _outside_lookups(world: RolloutWorld, intent: Intent) -> Lookups:
    """Return what is around the group, by the situation's names."""
    facts, arns = world.facts, intent.group.target_group_arns
    alarms = intent.preferences.alarms
    stack = stack_name(intent.environment, EnvironmentStack.FLEETS)
    return {
        "target_health": lambda: _target_health(world, arns),
        "target_limits": facts.target_limits,
        "balancer_targets": lambda: facts.balancer_targets(arns) if arns else {},
        "hooks": lambda: world.fleets.hooks(intent.group.name),
        "alarms": lambda: facts.alarms(alarms) if alarms else {},
        "stack": lambda: _stack(world, stack),
        "change_sets": lambda: facts.open_change_sets(stack),
        "holders": lambda: _holders(world, RolloutTarget(intent.environment, intent.fleet)),
    }


def _images(world: RolloutWorld, intent: Intent) -> Mapping[str, ImageFact]:
    named = (intent.new_ami_id, intent.source.ami_id)
    return world.facts.images([each for each in named if not each.startswith(PARAMETER_PREFIX)])


def _has_boot_record(world: RolloutWorld, images: Fact[Mapping[str, ImageFact]], ami_id: str) -> bool:
    """Tell whether a bake left its manifest: the last thing before it publishes an image it has tested."""
    image = known(images).get(ami_id)
    if image is None or parse_image_name(image.name) is None:
        return False
    stored = world.objects.get(manifest_key(image.name))
    if stored is None:
        return False
    try:
        return Manifest.from_json(stored.body.decode()).ami_id == ami_id
    except ValueError:
        return False


def _target_health(
    world: RolloutWorld, target_group_arns: Sequence[str]
) -> Mapping[str, tuple[TargetHealth, ...]]:
    return {arn: world.targets.health(arn) for arn in target_group_arns}


def _stack(world: RolloutWorld, name: str) -> StackState | None:
    try:
        return world.stacks.get(name)
    except NotFound:
        return None


def _holders(world: RolloutWorld, target: RolloutTarget) -> tuple[Holder, ...]:
    """Return who else holds the fleet's lock, or that of its environment's stacks."""
    names = (lock_name(target), environment_lock(target.environment))
    found = (lock for name in names for lock in world.locks.current(name) if lock.name == name)
    return tuple(_holder(lock) for lock in found if lock.owner.run_id != world.run_id)


def _holder(lock: Lock) -> Holder:
    return Holder(lock.name, lock.owner.user, lock.owner.host, lock.taken_at)
