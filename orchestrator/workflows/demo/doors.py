# SPDX-License-Identifier: Apache-2.0
"""Show the double tunnel: a query through it, and that the bastion alone has no way to the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from orchestrator.clock import wait_until
from orchestrator.domain.database_door import Endpoint
from orchestrator.domain.tunnel_story import TunnelLook
from orchestrator.errors import DatabaseUnreachable, KeyRefused, MachineMissing, RemoteError, Stranded
from orchestrator.ports import Login, Reporter, Route, TunnelOptions
from orchestrator.workflows.db_tunnel import Outcome, Ready, Request, TunnelWorld, Use, run
from orchestrator.workflows.db_tunnel.plan import observe_and_plan
from orchestrator.workflows.db_tunnel.routes import DatabaseRoutes

SQL = "SELECT CONCAT_WS(' ', @@version, @@innodb_read_only + 0)"
READ_ONLY = "1"
# Machines that have just started take a minute to know who may come in.
_PATIENCE = timedelta(minutes=3)
_LASTS = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Queried:
    """What the database said through the tunnel, and what the bastion alone was told."""

    version: str
    via: str
    seconds: float
    refusal: str

    def as_dict(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {"version": self.version, "via": self.via, "seconds": self.seconds, "refusal": self.refusal}

    def lines(self) -> tuple[str, ...]:
        """Return it as an operator reads it."""
        return (
            f"{self.version}, a reader, answered through {self.via} in {self.seconds:.1f} s",
            f"the bastion alone can't reach it: {self.refusal}",
        )


def query(world: TunnelWorld, reporter: Reporter) -> Queried:
    """Query the reader endpoint through the tunnel, and try the same from the bastion alone.

    Raises:
        WaitTimeout: No machine let us in within minutes.
        RemoteError: The client failed.
        Stranded: The reader takes writes, or the bastion reaches the database.
    """
    screen = _Screen(reporter)
    request = Request(Endpoint.READER, _LASTS, Use.EXEC, sql=SQL, is_captured=True)
    began_s = world.doors.clock.monotonic_s()
    [outcome] = wait_until(
        lambda: _outcomes(world, request, screen),
        bool,
        clock=world.doors.clock,
        timeout=_PATIENCE,
        what="a machine that lets us in",
    )
    seconds = world.doors.clock.monotonic_s() - began_s
    if outcome.exit_code:
        raise RemoteError("query the database", status=outcome.exit_code, output=tuple(screen.said[-10:]))
    version, _, is_read_only = outcome.output.split("\n")[-2].rpartition(" ")
    if is_read_only != READ_ONLY:
        raise Stranded("reader endpoint", f"@@innodb_read_only is {is_read_only}: it takes writes")
    via = " and ".join(hop.name for hop in outcome.status.hops)
    return Queried(version, via, round(seconds, 2), _refusal(world, request))


def _outcomes(world: TunnelWorld, request: Request, screen: _Screen) -> tuple[Outcome, ...]:
    """Return how the query ended; nothing where nobody lets us in yet."""
    try:
        return (run(world, request, screen),)
    except (KeyRefused, MachineMissing) as error:
        screen.say(error.cause)
        return ()


def _refusal(world: TunnelWorld, request: Request) -> str:
    """Return why the bastion does not connect to the database."""
    routes = _BastionAlone(DatabaseRoutes(world.doors, observe_and_plan(world, request)))
    try:
        with world.tunnels.open(routes, TunnelOptions(has_standby=False)):
            pass
    except DatabaseUnreachable as error:
        return error.cause
    raise Stranded(
        "bastion",
        "it connects to the database, which only machines that use it may",
        next_command="invoke drift",
    )


class _BastionAlone:
    """The way to the database without the machine in the middle."""

    def __init__(self, routes: DatabaseRoutes) -> None:
        self._routes = routes

    def find(self, *, avoid: frozenset[str] = frozenset()) -> tuple[Route, ...]:
        """Return the ways, each cut off after the bastion."""
        return tuple(Route(route.hops[:1], route.target) for route in self._routes.find(avoid=avoid))

    def login(self) -> Login:
        """Return the same credentials that open the whole way."""
        return self._routes.login()


class _Screen:
    """Keeps to itself what a tunnel tells: the demo shows one line of it."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.said: list[str] = []

    def ready(self, ready: Ready) -> None:
        """Tell where it goes."""
        self._reporter.step("demo", f"the tunnel to {ready.plan.place.host} is open")

    def hint(self, text: str) -> None:
        """Nobody else connects."""

    def say(self, text: str) -> None:
        """Keep it for when something fails."""
        self.said.append(text)

    def show(self, look: TunnelLook) -> None:
        """It lasts a moment."""

    def closed(self, outcome: Outcome) -> None:
        """The result comes back anyway."""
