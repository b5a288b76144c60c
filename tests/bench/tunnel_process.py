# SPDX-License-Identifier: Apache-2.0
"""An engine in a process of its own, so that its processor time is its own too.

It says `loaded`. Each line that it is told is a way, to which it opens a tunnel and says its port. It ends
with its standard input.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import Any

from orchestrator.ports.doors import Hop, Login, Route, TunnelOptions, Tunnels
from orchestrator.ssh.tunnel import AsyncTunnels
from orchestrator.ssh.tunnel.sshtunnel_engine import SshtunnelTunnels


class Told:
    """The routes that it was told."""

    def __init__(self, told: dict[str, Any]) -> None:
        hops = [Hop(*hop[:3], tuple(hop[3]), hop[4]) for hop in told["hops"]]
        self._routes = (Route(tuple(hops), tuple(told["target"])),)
        self._login = Login(*told["login"])

    def find(self, *, avoid: frozenset[str] = frozenset()) -> tuple[Route, ...]:
        """Return them."""
        return self._routes

    def login(self) -> Login:
        """Return the credentials."""
        return self._login


def main() -> None:
    """Open what is asked for until there is no more to hear."""
    tunnels: Tunnels = AsyncTunnels() if sys.argv[1] == "asyncssh" else SshtunnelTunnels()
    if sys.argv[1] == "asyncssh":
        import asyncssh  # noqa: F401, PLC0415 - an operator's command has imported it before it asks
    else:
        import orchestrator.ssh.tunnel.forwarder  # noqa: F401, PLC0415 - as above
    print("loaded", flush=True)  # noqa: T201 - a program's output
    with ExitStack() as stack:
        for line in sys.stdin:
            made = stack.enter_context(tunnels.open(Told(json.loads(line)), TunnelOptions()))
            print(made.address[1], flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
