# SPDX-License-Identifier: Apache-2.0
"""What the environment's audit trail is told of a tunnel, by the command that opened it."""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.tunnel import TunnelStatus
from orchestrator.errors import SlipwayError
from orchestrator.workflows.db_tunnel.routes import DatabaseRoutes
from orchestrator.workflows.db_tunnel.world import Plan, Screen
from orchestrator.workflows.doors.world import DoorWorld


class TunnelRecords:
    """The records of one tunnel. Where they can't be written, the operator is told, and the work goes on."""

    def __init__(self, world: DoorWorld, plan: Plan, routes: DatabaseRoutes, screen: Screen) -> None:
        self._world, self._plan, self._routes, self._screen = world, plan, routes, screen
        self._began: datetime = world.clock.now()

    def began(self, status: TunnelStatus) -> None:
        """Tell that it is open."""
        self._began = self._world.clock.now()
        self._write("began", status, {})

    def ended(self, status: TunnelStatus, exit_code: int) -> None:
        """Tell how it ended."""
        now = self._world.clock.now()
        more = {
            "ended": _time(now),
            "seconds": round((now - self._began).total_seconds(), 3),
            "sent_bytes": status.sent_bytes,
            "received_bytes": status.received_bytes,
            "connections": status.served_connections,
            "reconnects": status.reconnects,
            "exit_code": exit_code,
        }
        self._write("ended", status, more)

    def _write(self, event: str, status: TunnelStatus, more: dict[str, object]) -> None:
        world, place = self._world, self._plan.place
        last = status.hops[-1].name if status.hops else ""
        issued = self._routes.last_pass
        record: dict[str, object] = {
            "session": world.run_id,
            "event": event,
            "environment": world.environment.name,
            "fleet": self._plan.fleet,
            "instance_id": last,
            "user": world.environment.access.user,
            "who": world.who,
            "door": place.endpoint.door.value,
            "certificate_serial": str(issued.serial) if issued else "",
            "key_fingerprint": issued.fingerprint if issued else "",
            "operator": world.operator,
            "target": f"{place.host}:{place.port}",
            "via": [hop.name for hop in status.hops],
            "endpoint": place.endpoint.value,
            "began": _time(self._began),
            **more,
        }
        key = f"{self._began:%Y/%m/%d}/operators-{world.run_id}-{event}.json"
        try:
            world.audit.write(record, key=key)
        except SlipwayError as error:
            self._screen.say(f"warning: the audit trail was not told: {error.cause}")


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
