# SPDX-License-Identifier: Apache-2.0
"""A plan as an operator reads it: a line a stack, a line a change; what is added is gathered by type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from textwrap import wrap

from orchestrator.domain.change_set import Change, Effect
from orchestrator.workflows.provision.plan import Action, ProvisionPlan, StackPlan

_WIDTH = 110
_NAMES_SHOWN = 6  # --json has them all
_MARKS = {
    Effect.ADDED: "+",
    Effect.CHANGED: "~",
    Effect.REPLACED: "±",
    Effect.MAY_BE_REPLACED: "±?",
    Effect.REMOVED: "-",
}
_WORDS = {
    Effect.ADDED: "added",
    Effect.CHANGED: "changed in place",
    Effect.REPLACED: "replaced",
    Effect.MAY_BE_REPLACED: "maybe replaced",
    Effect.REMOVED: "removed",
}


def plan_lines(plan: ProvisionPlan) -> tuple[str, ...]:
    """Return the plan as lines."""
    if plan.is_empty:
        return (
            f"{plan.title}: no changes, all stacks ({len(plan.stacks)}) are as they should be",
            *_strangers(plan),
        )
    width = max(len(each.name) for each in plan.stacks)
    lines = [f"{plan.title}:", ""]
    for each in plan.stacks:
        lines.append(f"{each.name.ljust(width)}  {_headline(each)}".rstrip())
        lines += [f"    {line}" for line in _details(each)]
    lines += ["", *_first_images(plan), *_strangers(plan), *_refusals(plan), *_cost(plan)]
    return tuple(lines)


def _headline(plan: StackPlan) -> str:
    if plan.action is Action.RECHECK:
        return "no change of its own"
    if plan.action in (Action.HELD, Action.FOLLOW):
        return f"{plan.action.value}: {plan.reason}"
    counts = ", ".join(
        f"{plan.count(effect)} {word}" for effect, word in _WORDS.items() if plan.count(effect)
    )
    reason = f" ({plan.reason})" if plan.reason else ""
    return f"{plan.action.value}{reason}" + (f": {counts}" if counts else "")


def _details(plan: StackPlan) -> Iterator[str]:
    if plan.action not in (Action.HELD, Action.FOLLOW):
        yield from _added(plan.changes)
        yield from _others(plan.changes)
    if plan.settings:
        yield f"* {', '.join(plan.settings)}"
    if plan.after and plan.action is not Action.HELD:
        what = {
            Action.CREATE: "its change set is made when",
            Action.RECREATE: "its change set is made when",
            Action.RECHECK: "looked at again if other values come from",
        }.get(plan.action, "more may change if other values come from")
        yield from wrap(f"{what} {_are_up(plan)}", _WIDTH - 4, subsequent_indent="  ")
    if plan.action is Action.UPDATE and not plan.change_set_id:
        yield "told from the templates: it reads what is not there yet, so what is replaced is not known"


def _are_up(plan: StackPlan) -> str:
    names = ", ".join(plan.after)
    if plan.action not in (Action.CREATE, Action.RECREATE):
        return names
    return f"{names} {'is' if len(plan.after) == 1 else 'are'} up"


def _added(changes: Iterable[Change]) -> Iterator[str]:
    by_type: dict[str, list[str]] = {}
    for change in changes:
        if change.effect is Effect.ADDED:
            by_type.setdefault(change.type_name, []).append(change.logical_id)
    width = max((len(name) for name in by_type), default=0)
    for type_name, names in sorted(by_type.items()):
        head = f"+ {type_name.ljust(width)}  "
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        listed = ", ".join(names[:_NAMES_SHOWN]) + more
        text = f"{len(names)}: {listed}" if len(names) > 1 else listed
        yield from wrap(head + text, _WIDTH - 4, subsequent_indent=" " * len(head), break_long_words=False)


def _others(changes: Iterable[Change]) -> Iterator[str]:
    others = [change for change in changes if change.effect is not Effect.ADDED]
    if not others:
        return
    mark_width = max(len(_MARKS[change.effect]) for change in others)
    name_width = max(len(change.logical_id) for change in others)
    type_width = max(len(change.type_name) for change in others)
    for change in others:
        mark = _MARKS[change.effect].ljust(mark_width)
        kept = " (AWS keeps the old one)" if change.is_kept else ""
        names = f"{mark} {change.logical_id.ljust(name_width)}  {change.type_name.ljust(type_width)}"
        yield f"{names}  {', '.join(change.properties)}{kept}".rstrip()


def _first_images(plan: ProvisionPlan) -> Iterator[str]:
    for name, ami_id in plan.first_images:
        yield f"first image: {name} becomes {ami_id}"


def _strangers(plan: ProvisionPlan) -> Iterator[str]:
    for name in plan.strangers:
        yield f"left alone: {name} is there, but the configuration has no such stack"


def _refusals(plan: ProvisionPlan) -> Iterator[str]:
    for each in plan.forbidden:
        allowed = f"--allow-replace {each.stack}/{each.change.logical_id} allows it"
        yield from wrap(f"refused: {each}; {allowed}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _cost(plan: ProvisionPlan) -> Iterator[str]:
    before, after = plan.cost_before, plan.cost_after
    difference = after.monthly - before.monthly
    sign = "+" if difference >= 0 else "-"
    yield (
        f"cost a month, at least: {_dollars(before.monthly)} -> {_dollars(after.monthly)} "
        f"({sign}{_dollars(abs(difference))})"
    )
    yield f"  fleets and database at their lower limits, on-demand prices of us-east-1 of {plan.prices_date}"
    if after.not_counted:
        yield from _wrapped("  not counted, paid by use: ", sorted(after.not_counted))
    if after.unknown:
        yield from _wrapped("  not counted, no price known: ", sorted(after.unknown))


def _wrapped(head: str, items: Iterable[str]) -> list[str]:
    return wrap(head + ", ".join(items), _WIDTH, subsequent_indent="    ")


def _dollars(amount: Decimal) -> str:
    return f"${amount:,.2f}"
