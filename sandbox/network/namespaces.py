# SPDX-License-Identifier: Apache-2.0
"""Network namespaces on this host: list, make, remove, and run `ip` and `nft` in them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox import process
from sandbox.network import sockets
from sandbox.network.topology import Commands
from sandbox.substrate import SubstrateError

_LOOPBACK = "lo"
_UP_TIMEOUT_S = 5.0
_UP_POLL_S = 0.01


def with_prefix(prefix: str) -> frozenset[str]:
    """Return the names of all namespaces that begin with `prefix`."""
    if not sockets.NAMESPACES.is_dir():
        return frozenset()
    return frozenset(path.name for path in sockets.NAMESPACES.iterdir() if path.name.startswith(prefix))


def ensure(name: str, sysctls: dict[str, str]) -> None:
    """Make the namespace if it is not there, and set its kernel parameters."""
    if not (sockets.NAMESPACES / name).exists():
        process.run(["ip", "netns", "add", name], action=f"make network namespace {name}")
    sockets.write_sysctls(name, sysctls)


def remove(name: str) -> None:
    """Remove the namespace, its links and the programs in it.

    The links go first: a socket that some process still holds open keeps a nameless namespace alive.
    """
    kill_programs(name)
    clear(name)
    process.run(["ip", "netns", "delete", name], action=f"remove network namespace {name}")


def kill_programs(name: str) -> None:
    """End every program in the namespace at once, whoever started it."""
    listed = process.run(["ip", "netns", "pids", name], action=f"list programs in {name}")
    for pid in listed.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def clear(name: str) -> None:
    """Remove every link of the namespace but its loopback; the other ends of pairs go with them."""
    links = [link for link in links_of(name) if link != _LOOPBACK]
    if links:
        lines = "".join(f"link del dev {link}\n" for link in links)
        # -force goes on after a failure: removing one end of a pair removed the other, which may be listed
        # too.
        argv = ["sh", "-c", 'ip -n "$1" -force -batch - 2>/dev/null; true', "sh", name]
        process.run(argv, action=f"clear network namespace {name}", stdin=lines)


def links_of(name: str | None) -> list[str]:
    """Return the names of a namespace's links (of the host's own if None)."""
    argv = ["ip", *(["-n", name] if name else []), "-json", "link", "show"]
    listed = process.run(argv, action=f"list links of {name or 'the host'}")
    return [str(link["ifname"]) for link in json.loads(listed or "[]")]


def execute(commands: Iterable[Commands]) -> None:
    """Run the lines, each group in its namespace, in order."""
    for group in commands:
        if not group.lines:
            continue
        where = ["-n", group.namespace] if group.namespace else []
        process.run(
            ["ip", *where, "-batch", "-"],
            action=f"change links of {group.namespace or 'the host'}",
            stdin="\n".join(group.lines) + "\n",
        )


def wait_until_up(name: str | None, links: Iterable[str]) -> None:
    """Wait until the links carry packets.

    The kernel takes note of a carrier in its own time, up to a second later; until then a bridge drops what
    comes through that port.
    """
    expected = set(links)
    deadline = time.monotonic() + _UP_TIMEOUT_S
    while expected and not expected <= _working_links(name):
        if time.monotonic() > deadline:
            raise SubstrateError(f"wait for links of {name or 'the host'}", f"not up: {sorted(expected)}")
        time.sleep(_UP_POLL_S)


def _working_links(name: str | None) -> set[str]:
    argv = ["ip", *(["-n", name] if name else []), "-details", "-json", "link", "show"]
    listed = process.run(argv, action=f"list links of {name or 'the host'}")
    return {str(link["ifname"]) for link in json.loads(listed or "[]") if _works(link)}


def _works(link: dict[str, Any]) -> bool:
    port = link.get("linkinfo", {}).get("info_slave_data", {})
    return link.get("operstate") == "UP" and port.get("state", "forwarding") == "forwarding"


def load_rules(name: str | None, ruleset: str) -> None:
    """Load an nftables ruleset in one transaction, in the namespace (on the host itself if None)."""
    process.run(
        [*_in_network(name), "nft", "-f", "-"], action=f"load firewall of {name or 'the host'}", stdin=ruleset
    )


def has_table(table: str) -> bool:
    """Return whether the host has the nftables table."""
    listed = process.run(["nft", "list", "tables"], action="list nftables tables")
    return f"table inet {table}" in listed.splitlines()


def table_text(table: str) -> str:
    """Return one of the host's nftables tables as text."""
    return process.run(["nft", "list", "table", "inet", table], action=f"list nftables table {table}")


def _in_network(name: str | None) -> Sequence[str]:
    return ["nsenter", f"--net={Path('/run/netns') / name}"] if name else []
