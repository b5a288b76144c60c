# SPDX-License-Identifier: Apache-2.0
"""Write the HAProxy configuration of one node of a load balancer. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.balancing.answers import error_pages
from sandbox.balancing.attributes import idle_timeout_s
from sandbox.balancing.backends import CONNECT_TIMEOUT_S, backend
from sandbox.balancing.frontends import certificate_file, frontend
from sandbox.balancing.shape import Balancer

SOCKET = "run/runtime.sock"
SERVERS = "servers"
# What one node carries at a time; HAProxy reserves memory and file descriptors for it.
_CONNECTIONS = 2000


def configuration(balancer: Balancer, *, address: str, directory: str) -> str:
    """Return the configuration of the node at `address`, whose files are in `directory`."""
    sections = [
        _global(directory),
        _defaults(balancer),
        *(
            frontend(balancer, listener, address=address, directory=directory)
            for listener in balancer.listeners
        ),
        *(backend(group) for group in balancer.groups),
    ]
    return "\n".join(_section(lines) for lines in sections)


def certificate_files(balancer: Balancer, *, directory: str) -> dict[str, str]:
    """Return the certificates that the configuration names, by path."""
    return {
        certificate_file(directory, each.digest): each.pem
        for listener in balancer.listeners
        for each in listener.certificates
    }


def _global(directory: str) -> list[str]:
    return [
        "global",
        f"stats socket {directory}/{SOCKET} mode 600 level admin expose-fd listeners",
        f"server-state-file {directory}/{SERVERS}",
        "nbthread 1",
        f"maxconn {_CONNECTIONS}",
        "tune.ssl.default-dh-param 2048",
    ]


def _defaults(balancer: Balancer) -> list[str]:
    idle_s = idle_timeout_s(balancer.attributes)
    return [
        "defaults",
        "mode http",
        f"timeout connect {CONNECT_TIMEOUT_S}s",
        *(f"timeout {kind} {idle_s}s" for kind in ("client", "server", "http-keep-alive", "tunnel")),
        "retries 0",
        # A reload must not close a connection that a client is about to use.
        "option idle-close-on-response",
        "load-server-state-from-file global",
        *error_pages(),
    ]


def _section(lines: Iterable[str]) -> str:
    head, *rest = lines
    return "\n".join([head, *(f"    {line}" for line in rest)]) + "\n"
