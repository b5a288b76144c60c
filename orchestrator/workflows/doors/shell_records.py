# SPDX-License-Identifier: Apache-2.0
"""What the environment's audit trail is told of a visit, by the command that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from orchestrator.errors import SlipwayError
from orchestrator.workflows.doors.login import Pass
from orchestrator.workflows.doors.shell_plan import ShellPlan
from orchestrator.workflows.doors.world import DoorWorld

INTERRUPTED = 130
_BROKEN = 1


@contextmanager
def recorded(
    world: DoorWorld, plan: ShellPlan, issued: Pass, *, via: str, say: Callable[[str], None]
) -> Iterator[Callable[[int], None]]:
    """Tell the audit trail of a beginning and of every kind of end; give what takes the exit code.

    Where it can't be told, `say` gets a warning and the work goes on: machines write records of their own.
    """
    began, codes = world.clock.now(), [_BROKEN]
    base = _base(world, plan, issued, via) | {"began": _time(began)}
    _write(world, base | {"event": "began"}, began, say)
    try:
        yield codes.append
    except SlipwayError as error:
        codes.append(error.exit_code)
        raise
    except KeyboardInterrupt:
        codes.append(INTERRUPTED)
        raise
    finally:
        now = world.clock.now()
        ended = {
            "event": "ended",
            "ended": _time(now),
            "seconds": round((now - began).total_seconds(), 3),
            "exit_code": codes[-1],
        }
        _write(world, base | ended, began, say)


def _base(world: DoorWorld, plan: ShellPlan, issued: Pass, via: str) -> dict[str, object]:
    ids = [each.instance_id for each in plan.machines]
    return {
        "session": world.run_id,
        "environment": world.environment.name,
        "fleet": plan.machines[0].fleet,
        "instance_id": ids[0] if len(ids) == 1 else "",
        "user": plan.user,
        "who": world.who,
        "door": issued.key_id.door.value,
        "certificate_serial": str(issued.serial),
        "key_fingerprint": issued.fingerprint,
        "operator": world.operator,
        "target": ids,
        "via": [via] if via else [],
    }


def _write(world: DoorWorld, record: dict[str, object], began: datetime, say: Callable[[str], None]) -> None:
    key = f"{began:%Y/%m/%d}/operators-{world.run_id}-{record['event']}.json"
    try:
        world.audit.write(record, key=key)
    except SlipwayError as error:
        say(f"warning: the audit trail was not told: {error.cause}")


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
