# SPDX-License-Identifier: Apache-2.0
"""What a provision would do, stack by stack. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from orchestrator.domain.change_set import Change, Effect, Forbidden, forbidden
from orchestrator.domain.cost import Estimate
from orchestrator.domain.stack import StackState, StackTemplate


class Action(StrEnum):
    """What happens to a stack."""

    UNCHANGED = "no changes"
    CREATE = "create"
    RECREATE = "remove what failed and create"
    UPDATE = "update"
    RECHECK = "look again"  # no change of its own, but what it reads may change in this run
    SET = "set"  # no update: only what is beside the template is missing, such as a stack policy
    HELD = "wait"  # something has to be there first that this command does not make
    FOLLOW = "follow"  # an operation is under way


_IDLE = frozenset({Action.UNCHANGED, Action.HELD})
# After these, the outputs of a stack may be others.
CHANGING = frozenset({Action.CREATE, Action.RECREATE, Action.UPDATE, Action.RECHECK, Action.FOLLOW})


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What happens to one stack.

    Attributes:
        change_set_id: The change set that says so; without one, templates were compared.
        settings: What is set beside the template: termination protection, stack policy, first images.
        after: The stacks of this run that have to be up before it is certain what changes.
        reason: Why it waits, or what is the matter with what is there.
    """

    template: StackTemplate
    action: Action
    state: StackState | None = None
    changes: tuple[Change, ...] = ()
    change_set_id: str = ""
    settings: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    reason: str = ""
    cost_before: Estimate = field(default_factory=Estimate)
    cost_after: Estimate = field(default_factory=Estimate)

    @property
    def name(self) -> str:
        """Return the stack's name."""
        return self.template.name

    def count(self, effect: Effect) -> int:
        """Return how many resources this happens to."""
        return sum(change.effect is effect for change in self.changes)

    def as_dict(self) -> dict[str, object]:
        """Return the plan of the stack for `--json`."""
        return {
            "stack": self.name,
            "action": self.action.name.lower(),
            "from": "change set" if self.change_set_id else "template",
            "changes": [change.as_dict() for change in self.changes],
            "settings": list(self.settings),
            "certain_after": list(self.after),
            "reason": self.reason,
            "monthly_cost_usd": {
                "before": float(self.cost_before.monthly),
                "after": float(self.cost_after.monthly),
            },
        }


@dataclass(frozen=True, slots=True)
class ProvisionPlan:
    """All stacks, each after those it depends on.

    Attributes:
        first_images: The AMI that each missing parameter gets, by the parameter's name.
        strangers: Stacks of the same owners that the configuration has no more.
    """

    title: str
    stacks: tuple[StackPlan, ...]
    prices_date: str
    first_images: tuple[tuple[str, str], ...] = ()
    strangers: tuple[str, ...] = ()
    allowed: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing changes and nothing waits."""
        return all(each.action is Action.UNCHANGED for each in self.stacks)

    @property
    def has_work(self) -> bool:
        """Tell whether there is something to do now."""
        return any(each.action not in _IDLE for each in self.stacks)

    @property
    def held(self) -> tuple[StackPlan, ...]:
        """Return the stacks that wait for what this command does not make."""
        return tuple(each for each in self.stacks if each.action is Action.HELD)

    @property
    def busy(self) -> tuple[StackPlan, ...]:
        """Return the stacks that an operation is under way on."""
        return tuple(each for each in self.stacks if each.action is Action.FOLLOW)

    @property
    def forbidden(self) -> tuple[Forbidden, ...]:
        """Return what may not be done without having been named."""
        return tuple(one for each in self.stacks for one in forbidden(each.name, each.changes, self.allowed))

    @property
    def cost_before(self) -> Estimate:
        """Return what stands there costs a month."""
        return sum((each.cost_before for each in self.stacks), Estimate())

    @property
    def cost_after(self) -> Estimate:
        """Return what it costs a month then."""
        return sum((each.cost_after for each in self.stacks), Estimate())

    def as_dict(self) -> dict[str, object]:
        """Return the plan for `--json`."""
        after = self.cost_after
        return {
            "title": self.title,
            "stacks": [each.as_dict() for each in self.stacks],
            "refused": [str(each) for each in self.forbidden],
            "first_images": dict(self.first_images),
            "left_alone": list(self.strangers),
            "monthly_cost_usd": {
                "before": float(self.cost_before.monthly),
                "after": float(after.monthly),
                "prices_of": self.prices_date,
                "not_counted": sorted(after.not_counted),
                "no_price": sorted(after.unknown),
            },
        }


def with_followers(plans: tuple[StackPlan, ...]) -> tuple[StackPlan, ...]:
    """Add to each stack which of this run's it has to be looked at after, dependencies being before it."""
    changing: set[str] = set()
    held: set[str] = set()
    settled = []
    for each in plans:
        plan = _held(each, held) or _following(each, changing)
        if plan.action is Action.HELD:
            held.add(plan.name)
        if plan.action in CHANGING:
            changing.add(plan.name)
        settled.append(plan)
    return tuple(settled)


def _held(plan: StackPlan, held: set[str]) -> StackPlan | None:
    """Let a stack that is to change wait for one that waits itself."""
    waits_for = sorted(held & set(_sources(plan)))
    if not waits_for or plan.action in _IDLE:
        return plan if plan.action is Action.HELD else None
    return replace(plan, action=Action.HELD, reason=f"reads outputs of {', '.join(waits_for)}, which waits")


def _following(plan: StackPlan, changing: set[str]) -> StackPlan:
    after = tuple(sorted(changing & set(_sources(plan))))
    action = plan.action
    if after and action in (Action.UNCHANGED, Action.SET):
        action = Action.RECHECK
    return replace(plan, action=action, after=after)


def _sources(plan: StackPlan) -> Iterator[str]:
    yield from plan.template.depends_on
    yield from (stack for stack, _ in plan.template.reads)
