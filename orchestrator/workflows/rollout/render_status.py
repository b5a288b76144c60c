# SPDX-License-Identifier: Apache-2.0
"""How a fleet is, as an operator in a hurry reads it: what runs, what goes on, and what can be done now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from orchestrator.domain.refresh import RefreshStatus
from orchestrator.domain.rollout.progress import Progress
from orchestrator.domain.rollout.wording import clock, counted
from orchestrator.workflows.rollout.names import command
from orchestrator.workflows.rollout.render import document, progress_lines, record_lines, row
from orchestrator.workflows.rollout.status import RolloutStatus


def status_document(status: RolloutStatus) -> object:
    """Return the status for `--json`."""
    return document(status)


def status_lines(status: RolloutStatus) -> tuple[str, ...]:
    """Return the status as lines."""
    group = status.group
    lines = [
        f"{status.target.name}: {_headline(status)}",
        "",
        *row(
            "fleet",
            f"{len(group.in_service):,} in service, {group.desired_capacity:,} desired "
            f"({group.min_size:,} to {group.max_size:,}), group {group.name}",
        ),
        *(line for text in _images(status) for line in row("", text)),
        *row("pointer", status.pointer or "there is none"),
        *row("lock", f"held by {status.held_by}" if status.held_by else "free"),
    ]
    if status.record:
        lines += ["", *record_lines(status.record)]
    if status.progress:
        lines += ["", *_refresh_lines(status)]
    return (*lines, "", *(line for text in _next(status) for line in row("next", text)))


def overview_line(status: RolloutStatus) -> str:
    """Return a fleet in a line: what runs, and what goes on."""
    group = status.group
    runs = ", ".join(_images(status)) or "no machine in service"
    return f"{status.target.name}: {_headline(status)}; {runs} ({group.desired_capacity:,} desired)"


def _headline(status: RolloutStatus) -> str:
    progress, record = status.progress, status.record
    if progress and progress.refresh.status.is_active:
        if progress.refresh.status is RefreshStatus.ROLLBACK_IN_PROGRESS:
            return "BEING TAKEN BACK"
        if progress.paused:
            return "PAUSED"
        return (
            "a rollout is under way" if _is_ours(status) else "A REFRESH IS UNDER WAY THAT NO ROLLOUT BEGAN"
        )
    if record and not record.phase.is_over:
        return "a rollout is not finished, but no refresh is under way"
    if _is_mixed(status):
        return "nothing is under way, BUT MACHINES OF SEVERAL VERSIONS ARE IN SERVICE"
    return "nothing is under way"


def _is_ours(status: RolloutStatus) -> bool:
    """Tell whether the refresh is of the rollout that the record tells of."""
    progress, record = status.progress, status.record
    return bool(progress and record and progress.refresh.refresh_id in record.refresh_ids)


def _is_mixed(status: RolloutStatus) -> bool:
    return len({(each.template_id, each.version) for each in status.group.in_service}) > 1


def _images(status: RolloutStatus) -> Iterator[str]:
    counts = Counter(
        each.version if each.template_id == status.group.template_id else None
        for each in status.group.in_service
    )
    for version, number in sorted(counts.items(), key=lambda each: (each[0] is None, each[0] or 0)):
        if version is None:
            yield f"{counted(number, 'machine')} of no version of the fleet's launch template"
            continue
        named = ", which the group names" if version == status.group.numbered_version else ""
        ami = status.amis.get(version, "an image that is not known")
        yield f"{counted(number, 'machine')} of version {version}: {ami}{named}"


def _refresh_lines(status: RolloutStatus) -> tuple[str, ...]:
    progress = status.progress
    if progress is None or progress.refresh.status.is_active:
        return progress_lines(progress) if progress else ()
    refresh = progress.refresh
    took = ""
    if refresh.started_at and refresh.ended_at:
        took = f" after {clock((refresh.ended_at - refresh.started_at).total_seconds())}"
    return (
        *row("last refresh", f"{refresh.refresh_id}: {refresh.status}{took}"),
        *(row("", f"AWS says: {refresh.reason}") if refresh.reason else ()),
    )


def _next(status: RolloutStatus) -> Iterator[str]:
    """Say what can be done now, with the commands."""
    target, progress, record = status.target, status.progress, status.record
    is_active = bool(progress and progress.refresh.status.is_active)
    if not is_active and (record is None or record.phase.is_over):
        yield f"{command('rollout', target, '--dry-run')}, to foresee one"
        if _is_mixed(status):
            yield f"{command('rollout.rollback', target)}, to go back to one version"
        return
    if is_active and not _is_ours(status):
        yield f"{command('rollout', target)}, to watch it, not to guard it"
        return
    goes_on = "watch it" if status.held_by else "guard it: NOBODY DOES NOW" if is_active else "finish it"
    yield f"{command('rollout', target)}, to {goes_on}"
    if progress and is_active and not progress.refresh.status.is_rolling_back:
        yield from _ways(status, progress)


def _ways(status: RolloutStatus, progress: Progress) -> Iterator[str]:
    target = status.target
    if progress.paused:
        yield command("rollout.resume", target)
    elif progress.checkpoint:
        yield f"{command('rollout.promote', target)}, not to wait at the checkpoint"
    yield f"{command('rollout.rollback', target)}, to take it back"
