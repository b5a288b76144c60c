# SPDX-License-Identifier: Apache-2.0
"""Visit machines: a shell on one of them, or a command on one or on many at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from orchestrator.clock import Clock
from orchestrator.errors import DoorError
from orchestrator.ports import DoorMachine, DoorShell, DoorShells
from orchestrator.workflows.doors.hops import unpublished
from orchestrator.workflows.doors.login import issue
from orchestrator.workflows.doors.shell_plan import VERB, ShellPlan, ShellRequest
from orchestrator.workflows.doors.shell_records import recorded
from orchestrator.workflows.doors.world import DoorWorld

# A machine costs two programs here and a connection of the bastion's.
AT_ONCE = 16
_HEAR_SIGNALS_S = 1.0


class ShellScreen(Protocol):
    """What an operator sees of a visit. Called from any thread."""

    def say(self, text: str) -> None:
        """Show a line that belongs to no machine."""

    def line(self, name: str, instance_id: str, line: str, *, is_error: bool) -> None:
        """Show a line of a machine."""


@dataclass(frozen=True, slots=True)
class MachineOutcome:
    """What came of a command on a machine. `error` says why it was not reached, or lost."""

    name: str
    instance_id: str
    zone: str
    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    error: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "name": self.name,
            "instance_id": self.instance_id,
            "zone": self.zone,
            "exit_code": self.exit_code,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "seconds": round(self.seconds, 3),
            "error": self.error,
        }


def attend(
    world: DoorWorld, plan: ShellPlan, request: ShellRequest, shells: DoorShells, screen: ShellScreen
) -> int:
    """Give the terminal to a machine's shell, or to a command on it, and return its exit code.

    Raises:
        DoorError: There is no way, or it was lost.
        KeyboardInterrupt: Ctrl-C ended it.
    """
    machine = plan.machines[0]
    issued = issue(world, plan.openings)
    hop = plan.hops[machine.instance_id]
    with shells.open(plan.bastions, [hop], issued.login) as shell:
        if not request.command:
            through = f", through {shell.via}" if shell.via else ""
            name = plan.names[machine.instance_id]
            screen.say(f"{VERB} {name}: {machine.instance_id} in {machine.zone}{through}")
        with recorded(world, plan, issued, via=shell.via, say=screen.say) as ended:
            code = shell.attend(hop, request.command)
            ended(code)
    return code


def on_each(
    world: DoorWorld, plan: ShellPlan, request: ShellRequest, shells: DoorShells, screen: ShellScreen
) -> tuple[MachineOutcome, ...]:
    """Run a command on machines, many at once, and return what came of it on each, in their order.

    Raises:
        DoorError: There is no way to any of them.
        KeyboardInterrupt: Ctrl-C ended it.
    """
    issued = issue(world, plan.openings)
    hops = [*plan.hops.values()]
    with shells.open(plan.bastions, hops, issued.login) as shell:
        errand = _Errand(world, plan, request.command, shell, screen)
        with recorded(world, plan, issued, via=shell.via, say=screen.say) as ended, _pool(shell) as pool:
            outcomes = _collect([pool.submit(errand.run, machine) for machine in plan.machines])
            ended(highest(outcomes))
    return outcomes


def highest(outcomes: Sequence[MachineOutcome]) -> int:
    """Return the exit code of all together."""
    return max(each.exit_code for each in outcomes)


@dataclass(frozen=True, slots=True)
class _Errand:
    """A command that is run on machine after machine."""

    world: DoorWorld
    plan: ShellPlan
    command: str
    shell: DoorShell
    screen: ShellScreen

    @property
    def _clock(self) -> Clock:
        return self.world.clock

    def run(self, machine: DoorMachine) -> MachineOutcome:
        """Run it on a machine; one that is not reached is an outcome too."""
        begun_s = self._clock.monotonic_s()
        name = self.plan.names[machine.instance_id]
        told: dict[bool, list[str]] = {False: [], True: []}

        def on_line(line: str, *, is_error: bool) -> None:
            told[is_error].append(f"{line}\n")
            self.screen.line(name, machine.instance_id, line, is_error=is_error)

        try:
            if machine.instance_id not in self.plan.hops:
                raise unpublished(self.world, machine, what=VERB)
            result = self.shell.run(self.plan.hops[machine.instance_id], self.command, on_line=on_line)
        except DoorError as error:
            parts = (error.exit_code, "".join(told[False]), "".join(told[True]), error.cause)
        else:
            parts = (result.status, result.stdout, result.stderr, "")
        code, stdout, stderr, cause = parts
        seconds = self._clock.monotonic_s() - begun_s
        return MachineOutcome(name, machine.instance_id, machine.zone, code, stdout, stderr, seconds, cause)


@contextmanager
def _pool(shell: DoorShell) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            shell.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _collect(begun: Sequence[Future[MachineOutcome]]) -> tuple[MachineOutcome, ...]:
    """Wait for all, waking up so that a signal is heard at once."""
    waiting = set(begun)
    while waiting:
        _, waiting = wait(waiting, timeout=_HEAR_SIGNALS_S, return_when=FIRST_COMPLETED)
    return tuple(each.result() for each in begun)
