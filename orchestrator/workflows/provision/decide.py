# SPDX-License-Identifier: Apache-2.0
"""Make a plan of what was observed: which stacks need a change set, and what all of them mean together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.domain.change_set import ChangeSetStatus, changes_between
from orchestrator.domain.cost import Estimate, estimate
from orchestrator.domain.stack import NEVER_BEGUN, Health, StackState, stack_policy
from orchestrator.workflows.provision.change_sets import Drafts
from orchestrator.workflows.provision.observe import Observation, Seen, is_fleets
from orchestrator.workflows.provision.plan import Action, ProvisionPlan, StackPlan, with_followers
from orchestrator.workflows.provision.world import ProvisionWorld, Request, side_by_side

_AT_REST = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
TERMINATION_PROTECTION, STACK_POLICY, FIRST_IMAGES = "termination protection", "stack policy", "first images"


def make_plan(
    world: ProvisionWorld, request: Request, observation: Observation, made: Drafts
) -> ProvisionPlan:
    """Return the plan; the change sets it needs are made side by side."""
    plans = side_by_side(world, lambda seen: _plan_stack(world, seen, observation, made), observation.seen)
    found = observation.images.found
    return ProvisionPlan(
        title=request.title,
        stacks=with_followers(tuple(plans)),
        prices_date=world.prices.date,
        first_images=tuple(sorted(found.items())),
        strangers=observation.strangers,
        allowed=request.allowed,
    )


def _plan_stack(world: ProvisionWorld, seen: Seen, observation: Observation, made: Drafts) -> StackPlan:
    lacks_images = is_fleets(seen.template) and bool(observation.images.of(seen.template.owner))
    plan = _held(seen, observation) or _decide(seen, observation.states, made, lacks_images=lacks_images)
    settings = (*missing_settings(world, seen), *((FIRST_IMAGES,) if lacks_images else ()))
    if settings and plan.action is Action.UNCHANGED:
        plan = replace(plan, action=Action.SET)
    before, after = _costs(world, seen, observation)
    return replace(plan, settings=settings, cost_before=before, cost_after=after)


def _held(seen: Seen, observation: Observation) -> StackPlan | None:
    """Let the fleets wait as long as there is no image to launch them from."""
    missing = observation.images.missing.get(seen.template.owner)
    if not missing or not is_fleets(seen.template):
        return None
    reason = f"no published image of {', '.join(missing)} to launch; invoke bake-ami"
    return StackPlan(seen.template, Action.HELD, seen.state, reason=reason)


def _decide(seen: Seen, states: Mapping[str, StackState], made: Drafts, *, lacks_images: bool) -> StackPlan:
    state, template = seen.state, seen.template
    if state is None or seen.body is None:
        return _new(seen)
    if not needs_change_set(seen, states):
        return StackPlan(template, Action.UNCHANGED, state)
    # AWS looks the parameters of images up for a change set, too.
    if lacks_images or not is_resolvable(seen, states):
        changes = changes_between(seen.body, template.body)
        return StackPlan(template, Action.UPDATE, state, changes)
    change_set = made.make(template, is_new=False)
    if change_set.status is ChangeSetStatus.EMPTY:
        return StackPlan(template, Action.UNCHANGED, state)
    return StackPlan(template, Action.UPDATE, state, change_set.changes, change_set.change_set_id)


def _new(seen: Seen) -> StackPlan:
    state, changes = seen.state, changes_between({}, seen.template.body)
    if state is None:
        return StackPlan(seen.template, Action.CREATE, None, changes)
    reason = f"it is {state.status}"
    if state.health is Health.BUSY:
        return StackPlan(
            seen.template, Action.FOLLOW, state, reason=f"{reason}; followed to its end, then planned"
        )
    if state.status == NEVER_BEGUN:
        # Only its change set was made; another takes its place.
        return StackPlan(seen.template, Action.CREATE, state, changes)
    return StackPlan(seen.template, Action.RECREATE, state, changes, reason=reason)


def needs_change_set(seen: Seen, states: Mapping[str, StackState]) -> bool:
    """Tell whether anything can differ from what is deployed.

    The same template and tags give the same stack, unless what it reads of other stacks has become another
    since: CloudFormation looks weak references up when a stack is updated, so a source that was changed later
    than its reader asks for a change set. One that an update failed on may have been left behind, too.
    """
    state = seen.state
    if state is None or state.status not in _AT_REST or state.parameters:
        return True
    if seen.body != seen.template.body or dict(state.tags) != dict(seen.template.tags):
        return True
    sources = {stack for stack, _ in seen.template.reads}
    return any(name in states and states[name].changed_at > state.changed_at for name in sources)


def is_resolvable(seen: Seen, states: Mapping[str, StackState]) -> bool:
    """Tell whether everything that the template reads is there, so that a change set can be made."""
    return all(
        stack in states and states[stack].health is Health.SOUND and output in states[stack].outputs
        for stack, output in seen.template.reads
    )


def missing_settings(world: ProvisionWorld, seen: Seen) -> tuple[str, ...]:
    """Return what is to be set on a stack itself, beside its template."""
    state = seen.state if seen.body is not None else None
    missing = []
    is_protected = world.is_protected(seen.template.owner, is_network=seen.is_of_network)
    if is_protected and not (state and state.has_termination_protection):
        missing.append(TERMINATION_PROTECTION)
    policy = stack_policy(seen.template.body)
    if policy and policy != seen.policy:
        missing.append(STACK_POLICY)
    return tuple(missing)


def _costs(world: ProvisionWorld, seen: Seen, observation: Observation) -> tuple[Estimate, Estimate]:
    deployed = {each.name: each.body for each in observation.seen if each.body is not None}
    before = Estimate()
    if seen.body is not None:
        before = estimate(seen.name, {**observation.surroundings, **deployed}, world.prices)
    return before, estimate(seen.name, observation.surroundings, world.prices)
