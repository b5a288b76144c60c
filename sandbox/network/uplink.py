# SPDX-License-Identifier: Apache-2.0
"""The region's one door to this host: its link, the public range, and the way out to the real internet."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

from sandbox import process
from sandbox.names import FAMILY, RegionNames
from sandbox.network import forward_policy, namespaces
from sandbox.network.addresses import RegionAddresses, choose_range
from sandbox.network.firewall import guard_ruleset, host_ruleset
from sandbox.network.topology import Commands

_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_IPV6_OFF = "/proc/sys/net/ipv6/conf/{link}/disable_ipv6"
# Regions of several checkouts share one switch, so they take turns at it.
_LOCK = Path("/run/lock/slipway-forwarding.lock")
_GUARD = "slw_guard"
_DEFAULT_MTU = 1500
_CHOICE = "public-range"


def region_addresses(names: RegionNames) -> RegionAddresses:
    """Return the region's public range: the one it had, unless something else of this host routes it now."""
    taken = _networks_beside(names.host_link)
    choice = names.state_dir / _CHOICE
    if choice.exists():
        kept = IPv4Network(choice.read_text().strip())
        if not any(kept.overlaps(network) for network in taken if network.prefixlen > 0):
            return RegionAddresses(kept)
    chosen = choose_range(names.prefix, taken)
    choice.parent.mkdir(parents=True, exist_ok=True)
    choice.write_text(f"{chosen}\n")
    return RegionAddresses(chosen)


def mtu() -> int:
    """Return the MTU of the host's default route, so that machines' packets fit through it."""
    routes = _routes("default")
    links = [route["dev"] for route in routes if "dev" in route]
    if not links:
        return _DEFAULT_MTU
    return min(_DEFAULT_MTU, int(Path("/sys/class/net", str(links[0]), "mtu").read_text()))


def open_way_out(names: RegionNames, addresses: RegionAddresses) -> None:
    """Let machines out through this host, and nothing else: not the LAN in, not one region into another."""
    Path(_IPV6_OFF.format(link=names.host_link)).write_text("1")
    rules = host_ruleset(
        names.table, link=names.host_link, family=FAMILY, public_range=str(addresses.public_range)
    )
    with _turn():
        namespaces.load_rules(None, rules)
        forward_policy.admit(names.host_link)
        if _IP_FORWARD.read_text().strip() == "0":
            others = [link for link in namespaces.links_of(None) if _is_foreign(link)]
            namespaces.load_rules(None, guard_ruleset(_GUARD, others))
            _IP_FORWARD.write_text("1")


def remove_link(names: RegionNames) -> None:
    """Remove the host's end of the region's link, and with it its address and route."""
    if names.host_link in namespaces.links_of(None):
        namespaces.execute([Commands(None, (f"link del dev {names.host_link}",))])


def remove(names: RegionNames) -> None:
    """Remove everything of this region from the host's own network; the last region stops the forwarding."""
    remove_link(names)
    with _turn():
        _delete_table(names.table)
        forward_policy.withdraw(names.host_link)
        links = namespaces.links_of(None)
        if namespaces.has_table(_GUARD) and not any(link.startswith(FAMILY) for link in links):
            _stop_forwarding({link for link in links if _is_foreign(link)})


def _stop_forwarding(links: set[str]) -> None:
    """Undo what the first region switched on, unless others (a container engine) rely on it by now."""
    guarded = set(re.findall(r'"([^"]+)"', namespaces.table_text(_GUARD)))
    if links <= guarded:
        _IP_FORWARD.write_text("0")
    _delete_table(_GUARD)


def _delete_table(table: str) -> None:
    if namespaces.has_table(table):
        namespaces.load_rules(None, f"delete table inet {table}\n")


def _is_foreign(link: str) -> bool:
    return link != "lo" and not link.startswith(FAMILY)


def _networks_beside(host_link: str) -> list[IPv4Network]:
    routes = [route for route in _routes("table", "all") if route.get("dev") != host_link]
    targets = [str(route["dst"]) for route in routes if route["dst"] != "default"]
    return [IPv4Network(target, strict=False) for target in targets if ":" not in target]


def _routes(*selector: str) -> list[dict[str, object]]:
    listed = process.run(["ip", "-4", "-json", "route", "show", *selector], action="list routes of the host")
    routes: list[dict[str, object]] = json.loads(listed or "[]")
    return routes


@contextmanager
def _turn() -> Iterator[None]:
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
