# SPDX-License-Identifier: Apache-2.0
"""How clients log in at the end of a tunnel: those that we start, and those that people start themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.domain.database_door import DatabasePlace
from orchestrator.errors import SlipwayError
from orchestrator.ports import DatabaseSession
from orchestrator.workflows.db_tunnel.world import Plan, Request, Screen, TunnelWorld


def client_session(
    world: TunnelWorld, request: Request, plan: Plan, address: tuple[str, int]
) -> DatabaseSession:
    """Return how the client that we start logs in, with a password that is fetched now."""
    user, password = _credentials(world, request, plan.place)
    return DatabaseSession(
        address=address,
        database=plan.place.name,
        certificates=world.doors.database_ca(),
        user=user,
        password=password,
        has_token=request.is_iam,
        is_read_only=request.refuses_writes,
        title=f"{world.doors.environment.name} {request.endpoint.value}",
    )


def _credentials(world: TunnelWorld, request: Request, place: DatabasePlace) -> tuple[str, str | None]:
    if request.is_iam:
        # For the cluster's own name: what listens here is not what RDS signs for.
        return request.user, world.doors.logins.token(place.host, place.port, request.user)
    if request.user:
        return request.user, None
    return world.doors.logins.secret(place.secret_arn)


@contextmanager
def offered(
    world: TunnelWorld, request: Request, plan: Plan, address: tuple[str, int], screen: Screen
) -> Iterator[None]:
    """Keep for the block what a client of one's own needs, and tell how to start it.

    A tunnel without these hints is still one: if the certificates can't be had, that is told.
    """
    try:
        certificates = world.doors.database_ca()
    except SlipwayError as error:
        screen.say(f"warning: the database's certificates can't be fetched: {error.cause}")
        yield
        return
    session = DatabaseSession(
        address=address,
        database=plan.place.name,
        certificates=certificates,
        user=request.user,
        is_read_only=request.refuses_writes,
        title=f"{world.doors.environment.name} {request.endpoint.value}",
    )
    with world.client.options(session) as line:
        screen.hint(line)
        yield
