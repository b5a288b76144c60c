# SPDX-License-Identifier: Apache-2.0
"""Look at the project and at AWS: what is wanted, what is there. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.stack import (
    TEMPLATE_LIMIT,
    Body,
    EnvironmentStack,
    Health,
    StackState,
    StackTemplate,
    dependency_order,
)
from orchestrator.errors import ConfigError, Stranded
from orchestrator.ports import Bundle
from orchestrator.workflows.provision.world import (
    Network,
    ProvisionWorld,
    Request,
    environment_stack_names,
    network_stack_names,
    side_by_side,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A stack as wanted and as it is: its state, its template, its policy, as far as there are any."""

    template: StackTemplate
    is_of_network: bool
    state: StackState | None = None
    body: Body | None = None
    policy: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """Return the stack's name."""
        return self.template.name


@dataclass(frozen=True, slots=True)
class FirstImages:
    """What fleets launch that have no AMI parameter yet, and the classes that have no image either."""

    found: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, environment: str) -> dict[str, str]:
        """Return those of the fleets of an environment."""
        return {
            name: ami_id for name, ami_id in self.found.items() if name.startswith(f"/slipway/{environment}/")
        }


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything a plan is made from. `surroundings` has the templates that costs are worked out from."""

    seen: tuple[Seen, ...]
    states: Mapping[str, StackState]
    surroundings: Mapping[str, Body]
    bundles: Mapping[str, Bundle]
    images: FirstImages
    strangers: tuple[str, ...]


def observe(world: ProvisionWorld, request: Request) -> Observation:
    """Return what is wanted and what is there.

    Raises:
        ConfigError: A template is larger than CloudFormation takes.
        Stranded: A stack is in a state that a person must look at.
    """
    states = {state.name: state for state in world.stacks.all()}
    bundles = world.bundles.build() if request.environments else {}
    keys = {name: bundle.key for name, bundle in bundles.items()}
    network = world.templates.network()
    environments = [
        template for name in request.environments for template in world.templates.environment(name, keys)
    ]
    _refuse_large((*network, *environments))
    has_network = request.network is Network.YES or (
        request.network is Network.IF_MISSING and _is_missing(network, environments, states)
    )
    wanted = _ordered((*network, *environments) if has_network else environments)
    _refuse_stuck(world, wanted, states)
    of_network = frozenset(template.name for template in network)
    return Observation(
        seen=tuple(
            side_by_side(world, lambda each: _see(world, each, states, of_network=of_network), wanted)
        ),
        states=states,
        surroundings={template.name: template.body for template in (*network, *environments)},
        bundles=bundles,
        images=first_images(world, request.environments),
        strangers=_strangers(world, request, states, wanted, has_network=has_network),
    )


def _refuse_large(templates: Iterable[StackTemplate]) -> None:
    problems = tuple(
        f"stack {each.name}: its template has {each.size} bytes, CloudFormation takes {TEMPLATE_LIMIT}"
        for each in templates
        if each.size > TEMPLATE_LIMIT
    )
    if problems:
        raise ConfigError("templates", problems)


def _is_missing(
    network: Iterable[StackTemplate], environments: Iterable[StackTemplate], states: Mapping[str, StackState]
) -> bool:
    """Tell whether the network lacks a stack, or an output that the environments read."""
    names = {template.name for template in network}
    living = {name for name in names if name in states and states[name].health is not Health.STILLBORN}
    read = {each for template in environments for each in template.reads if each[0] in names}
    lacking = {
        (name, output) for name, output in read if name in living and output not in states[name].outputs
    }
    return living != names or bool(lacking)


def _ordered(templates: Sequence[StackTemplate]) -> tuple[StackTemplate, ...]:
    by_name = {template.name: template for template in templates}
    depends = {
        name: (*each.depends_on, *sorted(stack for stack, _ in each.reads)) for name, each in by_name.items()
    }
    return tuple(by_name[name] for name in dependency_order(depends))


def _refuse_stuck(
    world: ProvisionWorld, wanted: Iterable[StackTemplate], states: Mapping[str, StackState]
) -> None:
    for template in wanted:
        state = states.get(template.name)
        if state is None or state.health is not Health.STUCK:
            continue
        raise Stranded(
            f"stack {state.name}",
            f"it is {state.status}" + (f": {state.reason}" if state.reason else ""),
            state="nothing was changed by this command",
            next_command=_way_out(world, state),
        )


def _way_out(world: ProvisionWorld, state: StackState) -> str:
    api = f"{world.aws} cloudformation"
    if state.status == "UPDATE_ROLLBACK_FAILED":
        go_on = f"`{api} continue-update-rollback --stack-name {state.name}`"
        return f"mend what the reason says, then {go_on}, then the same command again"
    look = f"`{api} describe-stack-events --stack-name {state.name}`"
    return (
        f"{look}; mend it, then `{api} delete-stack --stack-name {state.name}`, then the same command again"
    )


def _see(
    world: ProvisionWorld,
    template: StackTemplate,
    states: Mapping[str, StackState],
    *,
    of_network: frozenset[str],
) -> Seen:
    state = states.get(template.name)
    is_of_network = template.name in of_network
    if state is None or state.health is not Health.SOUND:
        return Seen(template, is_of_network, state)
    body, policy = world.stacks.template(state.name), world.stacks.policy(state.name)
    return Seen(template, is_of_network, state, body, policy)


def _strangers(
    world: ProvisionWorld,
    request: Request,
    states: Mapping[str, StackState],
    wanted: Iterable[StackTemplate],
    *,
    has_network: bool,
) -> tuple[str, ...]:
    names = [name for each in request.environments for name in environment_stack_names(each)]
    names += network_stack_names(world.scope) if has_network else ()
    return tuple(sorted((set(names) & set(states)) - {template.name for template in wanted}))


def ami_parameter(environment: str, fleet: str) -> str:
    """Return the name of the parameter that says which AMI a fleet runs."""
    return f"/slipway/{environment}/{fleet}/ami"


def first_images(world: ProvisionWorld, environments: Sequence[str]) -> FirstImages:
    """Return the newest published image for each fleet that has no AMI yet."""
    classes = {
        (name, ami_parameter(name, fleet)): each.server_class
        for name in environments
        for fleet, each in world.scope.environments[name].fleets.items()
    }
    known = world.parameters.get([parameter for _, parameter in classes]) if classes else {}
    lacking = {where: server_class for where, server_class in classes.items() if where[1] not in known}
    images = world.images.by_class(sorted(set(lacking.values())))
    newest = {image.class_name: image.ami_id for image in reversed(images) if image.is_published}
    missing: dict[str, set[str]] = {}
    for (environment, _), server_class in lacking.items():
        if server_class not in newest:
            missing.setdefault(environment, set()).add(server_class)
    return FirstImages(
        found={where[1]: newest[each] for where, each in lacking.items() if each in newest},
        missing={environment: tuple(sorted(each)) for environment, each in missing.items()},
    )


def is_fleets(template: StackTemplate) -> bool:
    """Tell whether a stack launches machines."""
    return template.kind is EnvironmentStack.FLEETS
