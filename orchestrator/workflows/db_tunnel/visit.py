# SPDX-License-Identifier: Apache-2.0
"""Open the tunnel, let it be used, close it, and tell the audit trail: whatever ends it, in this order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from orchestrator.domain.database_door import VERB
from orchestrator.errors import SlipwayError
from orchestrator.ports import DatabaseSession, Tunnel, TunnelOptions
from orchestrator.workflows.db_tunnel.expiry import telling_expiry
from orchestrator.workflows.db_tunnel.plan import observe_and_plan
from orchestrator.workflows.db_tunnel.records import TunnelRecords
from orchestrator.workflows.db_tunnel.routes import DatabaseRoutes
from orchestrator.workflows.db_tunnel.session import client_session, offered
from orchestrator.workflows.db_tunnel.watch import Watch
from orchestrator.workflows.db_tunnel.watched import Watched
from orchestrator.workflows.db_tunnel.world import Outcome, Plan, Ready, Request, Screen, TunnelWorld, Use

INTERRUPTED = 130


def run(world: TunnelWorld, request: Request, screen: Screen) -> Outcome:
    """Open a tunnel to the database, use it as asked, and return how it ended.

    Raises:
        DoorError: It can't be opened, or broke for good.
    """
    with telling_expiry(f"{VERB} {world.doors.environment.name}"):
        plan = observe_and_plan(world, request)
    return _Visit(world, request, screen, plan).make()


@dataclass(frozen=True, slots=True)
class _Used:
    """What came of using it."""

    exit_code: int = 0
    is_over_time: bool = False
    output: str = ""


class _Visit:
    """One tunnel from its opening to its end."""

    def __init__(self, world: TunnelWorld, request: Request, screen: Screen, plan: Plan) -> None:
        self._world, self._request, self._screen, self._plan = world, request, screen, plan
        self._clock = world.doors.clock
        self._routes = DatabaseRoutes(world.doors, plan)
        self._records = TunnelRecords(world.doors, plan, self._routes, screen)
        self._watched: Watched | None = None
        self._begun_s = 0.0

    def make(self) -> Outcome:
        """Open, use, close, record."""
        # A run of SQL does not connect a second time, so a second way would be no use.
        options = TunnelOptions(
            local_port=self._request.local_port, has_standby=self._request.use is not Use.EXEC
        )
        with ExitStack() as stack:
            tunnel = stack.enter_context(self._world.tunnels.open(self._routes, options))
            try:
                used = self._use(tunnel, self._begin(tunnel), stack.close)
            except SlipwayError as error:
                self._end(tunnel, stack.close, _Used(error.exit_code))
                raise
            except KeyboardInterrupt as interrupt:
                self._screen.closed(self._end(tunnel, stack.close, _Used(INTERRUPTED)))
                interrupt.args = interrupt.args or ("the tunnel is closed",)
                raise
            outcome = self._end(tunnel, stack.close, used)
        self._screen.closed(outcome)
        return outcome

    def _begin(self, tunnel: Tunnel) -> Watch:
        self._begun_s = self._clock.monotonic_s()
        ends_at = self._clock.now() + self._request.ttl
        status, doors = tunnel.status(), self._world.doors
        is_brief = self._request.use is not Use.STAY
        watch = Watch(tunnel, self._clock, self._screen, ends_at=ends_at, is_brief=is_brief)
        # Before anybody can use it.
        self._records.began(status)
        name, address = doors.environment.name, tunnel.address
        self._screen.ready(Ready(name, doors.run_id, address, self._plan, self._request, status, ends_at))
        return watch

    def _end(self, tunnel: Tunnel, close: Callable[[], None], used: _Used) -> Outcome:
        """Close at once; only then the audit trail is told, which may take its time."""
        status, seconds = tunnel.status(), self._clock.monotonic_s() - self._begun_s
        close()
        if self._watched is not None:
            self._watched.join()
        self._records.ended(status, used.exit_code)
        return Outcome(status, seconds, used.exit_code, used.is_over_time, used.output)

    def _use(self, tunnel: Tunnel, watch: Watch, close: Callable[[], None]) -> _Used:
        if self._request.use is Use.STAY:
            with offered(self._world, self._request, self._plan, tunnel.address, self._screen):
                return _Used(is_over_time=watch.until_end())
        session = client_session(self._world, self._request, self._plan, tunnel.address)
        self._watched = watched = Watched(watch, close)
        used = self._let_client(session)
        # A client that was cut off ends with a code of its own; if the tunnel has a reason, that counts.
        tunnel.wait(timeout_s=0)
        return _Used(used.exit_code, watched.is_over_time, used.output)

    def _let_client(self, session: DatabaseSession) -> _Used:
        client, sql = self._world.client, self._request.sql
        if self._request.use is Use.CLIENT:
            return _Used(client.interact(session))
        if not self._request.is_captured:
            return _Used(client.execute(session, sql))
        result = client.capture(session, sql)
        for line in result.stderr.splitlines():
            self._screen.say(line)
        return _Used(result.status, output=result.stdout)
