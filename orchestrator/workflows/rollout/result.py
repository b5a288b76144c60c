# SPDX-License-Identifier: Apache-2.0
"""What became of a rollout: a result, or the error that says what is in service now."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.fleet import FleetGroup
from orchestrator.domain.rollout.document import to_document
from orchestrator.domain.rollout.machines import versions_in_service
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.progress import MachineFailure
from orchestrator.domain.rollout.record import Phase, RolloutRecord
from orchestrator.errors import RolledBack, SlipwayError, Stranded
from orchestrator.workflows.rollout.names import command

_CONSOLE_LINES_SHOWN = 5
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """What became of a fleet. `record` is None where no rollout of ours has anything to do with it."""

    target: RolloutTarget
    record: RolloutRecord | None
    is_changed: bool
    says: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the result for `--json`."""
        return {
            "environment": self.target.environment,
            "fleet": self.target.fleet,
            "changed": self.is_changed,
            "says": list(self.says),
            "record": to_document(self.record) if self.record else None,
        }

    def lines(self) -> tuple[str, ...]:
        """Return the result as an operator reads it."""
        return tuple(f"{self.target.name}: {each}" for each in self.says)


def succeeded(target: RolloutTarget, record: RolloutRecord) -> RolloutResult:
    """Return the result of a rollout that went well, with what it took and what was foreseen."""
    took = f" in {_span(record.actual_s)}" if record.actual_s is not None else ""
    foreseen = record.predicted_s
    says = (
        f"every machine runs {record.new_ami_id}, version {record.new_version}{took} "
        f"(forecast {_span(foreseen.low)} to {_span(foreseen.high)})"
    )
    return RolloutResult(target, record, is_changed=True, says=(says,))


def failed(target: RolloutTarget, record: RolloutRecord, group: FleetGroup) -> SlipwayError:
    """Return the error that a rollout ended with, by its record."""
    what, causes = f"rollout of {target.name} to {record.new_ami_id}", _causes(record)
    serving = versions_in_service(group)
    again = command("rollout", target)
    if record.phase is Phase.ROLLED_BACK:
        return RolledBack(
            what,
            causes,
            state=f"the old image {record.old_ami_id} is back in service: {serving}; "
            f"the default version and the parameter are as they were",
            next_command=f"mend the image and bake it again; {command('rollout.history', target)} tells more",
        )
    if record.phase is Phase.ABORTED:
        return Stranded(
            what,
            causes,
            state=f"stopped half-way: {serving}",
            next_command=f"{again}, to go on to the end; or {command('rollout.rollback', target)}",
        )
    return Stranded(
        what,
        causes,
        state=f"in service: {serving}; the group names version {group.template_version}",
        next_command=f"{command('rollout.status', target)}; then {again}, or "
        f"{command('rollout.rollback', target)}",
    )


def outcome(target: RolloutTarget, record: RolloutRecord, group: FleetGroup) -> RolloutResult:
    """Return or raise what a rollout that is over came to.

    Raises:
        RolledBack: The old image is back in service.
        Stranded: It is neither here nor there.
    """
    if record.phase is Phase.SUCCEEDED:
        return succeeded(target, record)
    raise failed(target, record, group)


def _causes(record: RolloutRecord) -> str:
    console = [line for each in record.failures for line in _console_lines(each)]
    return "\n".join((record.outcome or record.reason or f"it is {record.phase}", *console))


def _console_lines(failure: MachineFailure) -> tuple[str, ...]:
    shown = failure.console[-_CONSOLE_LINES_SHOWN:]
    return (f"  the console of {failure.instance_id}:", *(f"  | {line}" for line in shown)) if shown else ()


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE_S else f"{seconds / _MINUTE_S:.0f} min"
