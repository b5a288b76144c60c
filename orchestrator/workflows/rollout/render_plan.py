# SPDX-License-Identifier: Apache-2.0
"""A rollout's plan as an operator reads it, in 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from orchestrator.domain.forecast.course import Timing, TimingSource
from orchestrator.domain.rollout.differences import KIND_ENDS
from orchestrator.domain.rollout.plan import Action, RolloutPlan
from orchestrator.domain.rollout.wording import counted, duration, spread
from orchestrator.workflows.rollout.render_course import course_lines

WIDTH = 100
_LABEL = 13
_DIFFERENCES_SHOWN = 4  # of each kind; --json has them all
_ZONES_SHOWN = 8
_CENT = 0.01


def wrapped(text: str, width: int, indent: str) -> list[str]:
    """Return a text as lines; ids are not broken at their hyphens."""
    return wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)


def plan_lines(plan: RolloutPlan) -> tuple[str, ...]:
    """Return the plan as lines."""
    if plan.action is Action.NOTHING:
        return (_nothing(plan), *_finding_lines(plan))
    lines = [_headline(plan), ""]
    for label, texts in _rows(plan):
        lines += _row(label, texts)
    if plan.action is Action.START:
        delay_s, machines = plan.preferences.checkpoint_delay_s or 0, sum(plan.machines_by_zone.values())
        lines += ["", *course_lines(plan.course, delay_s=delay_s, machines=machines)]
    lines += _finding_lines(plan)
    if plan.proposal:
        lines += ["", *_row("--optimise", plan.proposal)]
    return (*lines, "", _verdict(plan))


def _nothing(plan: RolloutPlan) -> str:
    machines = sum(plan.machines_by_zone.values())
    return (
        f"{plan.target.name}: nothing to do, {counted(machines, 'machine')} of {machines:,} "
        f"run {_image(plan.image.new_ami_id, plan.image.new_name)}"
    )


def _image(ami_id: str, name: str) -> str:
    return f"{ami_id} ({name})" if name else ami_id


def _headline(plan: RolloutPlan) -> str:
    machines = counted(sum(plan.machines_by_zone.values()), "machine")
    if plan.action is Action.ATTACH:
        return f"{plan.target.name}: attach to a rollout that is under way ({machines}, group {plan.group})"
    if plan.action is Action.FINISH:
        return (
            f"{plan.target.name}: {machines} run the image already; what is left is to check them, "
            f"and to have the parameter and the template's default version follow"
        )
    return f"{plan.target.name}: roll {machines} of {plan.server_class} to a new image (group {plan.group})"


def _rows(plan: RolloutPlan) -> Iterator[tuple[str, Sequence[str]]]:
    image, course = plan.image, plan.course
    if plan.attaches_to:
        yield "attaches to", (plan.attaches_to,)
    yield "image from", (_image(image.old_ami_id or "unknown", image.old_name),)
    yield "        to", (_image(image.new_ami_id, image.new_name),)
    yield "differences", tuple(_differences(image.differences))
    yield "machines", (_zones(plan),)
    if plan.action is Action.START:
        yield "template", (_template(plan),)
        yield "policy", tuple(_policy(plan))
        yield "in service", (f"never fewer than {course.least_in_service:,}; {_most(plan)}",)
        yield "time", (f"{spread(course.duration_s)}; {_measured(plan.timing)}",)
        yield "surge", (_surge(plan),)
        if course.cliffs:
            yield "cliffs", course.cliffs
    possible = "possible" if plan.rollback.is_possible else "NOT POSSIBLE"
    yield "rollback", (f"{possible}: {plan.rollback.why}",)


def _template(plan: RolloutPlan) -> str:
    if plan.reuses_version is not None:
        return f"{plan.template_id}: version {plan.reuses_version}, which has the image already"
    return f"{plan.template_id}: a new version, made from version {plan.source_version}"


def _row(label: str, texts: Sequence[str]) -> list[str]:
    """Return a label and its texts beside it, each wrapped."""
    broken = [line for text in texts for line in wrapped(text, WIDTH - _LABEL, "  ")]
    return [f"{label if at == 0 else '':<{_LABEL}}{line}" for at, line in enumerate(broken)]


def _differences(lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        yield "none known: the manifest of one of the images is missing, or they hold the same"
    kinds: dict[str, list[str]] = {}
    for line in lines:
        kind, found, text = line.partition(KIND_ENDS)
        kinds.setdefault(kind if found else "", []).append(text if found else line)
    for kind, texts in kinds.items():
        more = len(texts) - _DIFFERENCES_SHOWN
        listed = ", ".join(texts[:_DIFFERENCES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        many = f" ({len(texts)})" if more > 0 else ""
        yield f"{kind}{many}: {listed}" if kind else listed


def _zones(plan: RolloutPlan) -> str:
    zones = [f"{zone} {number:,}" for zone, number in sorted(plan.machines_by_zone.items())]
    more = len(zones) - _ZONES_SHOWN
    return ", ".join(zones[:_ZONES_SHOWN]) + (f" and {counted(more, 'zone')} more" if more > 0 else "")


def _policy(plan: RolloutPlan) -> Iterator[str]:
    wanted = plan.preferences
    most = wanted.max_healthy_percentage
    band = f"{wanted.min_healthy_percentage} % to {most if most is not None else 100} % of the fleet"
    warmup = wanted.instance_warmup_s
    yield f"{band}, warm-up {duration(warmup)}" if warmup is not None else band
    if wanted.checkpoint_percentages:
        stops = ", ".join(map(str, wanted.checkpoint_percentages))
        yield f"checkpoints at {stops} %, where AWS waits {duration(wanted.checkpoint_delay_s or 0)}"
    if wanted.refresh_bake_time_s:
        yield f"watched for {duration(wanted.refresh_bake_time_s)} when all machines are new"
    alarms = f", or one of {', '.join(wanted.alarms)}" if wanted.alarms else ""
    yield f"taken back when {counted(plan.max_failures, 'new machine')} failed{alarms}"


def _most(plan: RolloutPlan) -> str:
    return f"never more than {plan.course.most_running:,} running"


def _measured(timing: Timing) -> str:
    boot = f"a machine takes {spread(timing.boot_s)} to come"
    if timing.source is TimingSource.MEASURED:
        return f"{boot}, as measured in {counted(timing.samples, 'launch')} of this group"
    return f"{boot}: ASSUMED, this group has not launched enough to measure it"


def _surge(plan: RolloutPlan) -> str:
    hours = plan.course.surge_machine_hours
    if not hours:
        return "none: no machine runs beside the fleet"
    usd = plan.course.surge_usd
    cost = f"about ${usd:,.2f}" if usd >= _CENT else "less than a cent"
    return f"{hours:,.1f} machine-hours beside the fleet, {cost}"


def _finding_lines(plan: RolloutPlan) -> list[str]:
    lines: list[str] = [""] if plan.findings else []
    for each in plan.findings:
        lines += wrapped(f"{each.level} {each.check}: {each.says}", WIDTH, "    ")
        lines += wrapped(f"    do: {each.advice}", WIDTH, "        ")
    return lines


def _verdict(plan: RolloutPlan) -> str:
    if plan.action is not Action.START:
        return "nothing will be replaced by this command that is not under way already"
    if plan.errors:
        return f"refused: {counted(len(plan.errors), 'error')} above"
    warnings = len(plan.findings)
    checks = f"{counted(warnings, 'warning')} above" if warnings else "nothing speaks against it"
    return f"checked: {checks}"
