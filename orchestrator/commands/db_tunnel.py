# SPDX-License-Identifier: Apache-2.0
"""The command `db-tunnel`: from what was typed, by the workflow, to what is shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from orchestrator.commands import doors
from orchestrator.commands.stacks import DEFAULT_ENVIRONMENT, Place
from orchestrator.commands.tunnel_words import VERB, TunnelWords
from orchestrator.config.loader import load_environment, load_network

if TYPE_CHECKING:
    from orchestrator.config.models import Environment
    from orchestrator.ports import Tunnels
    from orchestrator.workflows.db_tunnel import TunnelWorld

# The client has nothing to clean up when it is told to end.
_GRACE_S = 5.0


def db_tunnel(place: Place, words: TunnelWords) -> int:
    """Open a tunnel to the database, let it be used, and return the exit code."""
    from orchestrator.commands.tunnel_screen import TunnelScreen  # noqa: PLC0415
    from orchestrator.console.tunnel import tunnel_view  # noqa: PLC0415
    from orchestrator.workflows.db_tunnel import Use, run  # noqa: PLC0415

    name = words.environment or DEFAULT_ENVIRONMENT
    environment = load_environment(place.project, name, endpoint_port=place.endpoint_port)
    request = words.request(environment)
    world = join(place, environment, words.engine)
    has_frame = request.use is Use.STAY and not words.as_json
    with tunnel_view(f"{VERB} {name}", has_frame=has_frame) as view:
        for limit in world.tunnels.limits:
            view.say(f"engine {words.engine}: {limit}")
        return run(world, request, TunnelScreen(environment, words, view, put)).exit_code


def join(place: Place, environment: Environment, engine: str) -> TunnelWorld:
    """Join the doors of an environment with what carries tunnels and with the database's client."""
    from orchestrator.tools.mysql_client import MysqlClient  # noqa: PLC0415
    from orchestrator.tools.process import Processes  # noqa: PLC0415
    from orchestrator.tools.terminal import OwnTerminal  # noqa: PLC0415
    from orchestrator.workflows.db_tunnel import TunnelWorld  # noqa: PLC0415

    network = load_network(place.project, environment.network)
    world = doors.join(place, environment, VERB)
    programs = Processes(world.run_id, grace_s=_GRACE_S)
    client = MysqlClient(OwnTerminal(), programs, place.environ)
    return TunnelWorld(world, network.database, _carrier(engine), client)


def _carrier(engine: str) -> Tunnels:
    if engine == "sshtunnel":
        from orchestrator.ssh.tunnel.sshtunnel_engine import SshtunnelTunnels  # noqa: PLC0415

        return SshtunnelTunnels()
    from orchestrator.ssh.tunnel import AsyncTunnels  # noqa: PLC0415

    return AsyncTunnels()


def put(line: str) -> None:
    """Write a line to stdout, for whoever waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
