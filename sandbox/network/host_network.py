# SPDX-License-Identifier: Apache-2.0
"""Keep this host's namespaces, links, routes and firewalls as the region wants them."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from dataclasses import dataclass, field

from sandbox.names import RegionNames, interface
from sandbox.network import namespaces, sockets, topology, uplink
from sandbox.network.addresses import RegionAddresses
from sandbox.network.firewall import machine_ruleset, public_addresses, router_ruleset
from sandbox.network.topology import Commands, Place
from sandbox.substrate import VpcState


@dataclass(slots=True)
class _Applied:
    """What this process has put on the host, so that the next change touches only what differs."""

    routers: dict[str, str] = field(default_factory=dict)  # VPC -> its ruleset
    subnets: dict[tuple[str, str], str] = field(default_factory=dict)  # (VPC, subnet) -> CIDR
    places: dict[str, Place] = field(default_factory=dict)  # machine -> where its link is
    rules: dict[str, str] = field(default_factory=dict)  # machine -> its ruleset
    routes: dict[str, str] = field(default_factory=dict)  # public address -> VPC


class HostNetwork:
    """The network of one region. What it cannot finish, it makes anew at the next call."""

    def __init__(self, names: RegionNames, addresses: RegionAddresses) -> None:
        self._names = names
        self._addresses = addresses
        self._lock = threading.Lock()
        self._applied: _Applied | None = None
        self._mtu = 1500
        self._new_links: defaultdict[str | None, set[str]] = defaultdict(set)

    def apply(self, vpcs: tuple[VpcState, ...]) -> None:
        """Make the host's network match `vpcs`, and remove the rest."""
        with self._lock:
            applied = self._applied
            self._applied = None  # until this call has succeeded, nobody knows what the host has
            if applied is None:
                applied = self._begin(vpcs)
            self._remove_unwanted(applied, vpcs)
            for vpc in vpcs:
                self._apply_vpc(applied, vpc)
            self._apply_routes(applied, vpcs)
            self._wait_for_new_links()
            self._applied = applied

    def has_place(self, instance_id: str) -> bool:
        """Return whether the machine's namespace exists, firewall and all."""
        with self._lock:
            return self._applied is not None and instance_id in self._applied.rules

    def listen(self, vpc_id: str, address: str, port: int, *, kind: socket.SocketKind) -> socket.socket:
        """Return a socket bound inside the VPC's router; the router is given `address` if it lacks it."""
        router = self._names.router_namespace(vpc_id)
        try:
            return sockets.bind(router, address, port, kind=kind)
        except OSError as exc:
            if not sockets.is_absent_address(exc):
                raise
        namespaces.execute([Commands(router, (f"addr replace {address}/32 dev lo",))])
        return sockets.bind(router, address, port, kind=kind)

    def listen_region(self, port: int) -> socket.socket:
        """Return a TCP socket on the region's own address, which machines with a way out reach."""
        with self._lock:
            if not self._region_is_there():
                self._begin(())
                self._applied = None
        return sockets.bind(
            self._names.region_namespace, self._addresses.region, port, kind=socket.SOCK_STREAM
        )

    def destroy(self) -> None:
        """Remove all of the region's network from the host, whoever made it."""
        with self._lock:
            self._applied = None
            for name in sorted(namespaces.with_prefix(f"{self._names.prefix}-")):
                namespaces.remove(name)
            uplink.remove(self._names)

    def _begin(self, vpcs: tuple[VpcState, ...]) -> _Applied:
        """Start from a host in any state: keep the namespaces that machines run in, redo links."""
        names = self._names
        machines = {names.machine_namespace(m.instance_id) for vpc in vpcs for m in vpc.machines}
        routers = {names.router_namespace(vpc.vpc_id) for vpc in vpcs}
        region = names.region_namespace
        for name in sorted(namespaces.with_prefix(f"{names.prefix}-")):
            if name in machines | routers | {region}:
                namespaces.clear(name)
            else:
                namespaces.remove(name)
        namespaces.ensure(region, topology.FORWARDING_SYSCTLS)
        self._mtu = uplink.mtu()
        uplink.remove_link(names)
        namespaces.execute(topology.region_links(names, self._addresses, mtu=self._mtu))
        self._new_links.clear()
        self._new_links[None].add(names.host_link)
        uplink.open_way_out(names, self._addresses)
        return _Applied()

    def _region_is_there(self) -> bool:
        return self._applied is not None or self._names.host_link in namespaces.links_of(None)

    def _remove_unwanted(self, applied: _Applied, vpcs: tuple[VpcState, ...]) -> None:
        places = {place.machine.instance_id: place for vpc in vpcs for place in _places(vpc)}
        for instance_id, place in list(applied.places.items()):
            if _link(places.get(instance_id)) != _link(place):
                self._detach(applied, place, is_gone=instance_id not in places)
        subnets = {(vpc.vpc_id, subnet.subnet_id): subnet.cidr for vpc in vpcs for subnet in vpc.subnets}
        for (vpc_id, subnet_id), cidr in list(applied.subnets.items()):
            if subnets.get((vpc_id, subnet_id)) != cidr:
                namespaces.execute([topology.remove_subnet(self._names, vpc_id, subnet_id)])
                del applied.subnets[vpc_id, subnet_id]
        for vpc_id in set(applied.routers) - {vpc.vpc_id for vpc in vpcs}:
            namespaces.remove(self._names.router_namespace(vpc_id))
            del applied.routers[vpc_id]
            applied.routes = {address: owner for address, owner in applied.routes.items() if owner != vpc_id}

    def _detach(self, applied: _Applied, place: Place, *, is_gone: bool) -> None:
        instance_id = place.machine.instance_id
        namespaces.execute([topology.remove_machine(self._names, place)])
        del applied.places[instance_id]
        if is_gone:
            namespaces.remove(self._names.machine_namespace(instance_id))
            applied.rules.pop(instance_id, None)

    def _apply_vpc(self, applied: _Applied, vpc: VpcState) -> None:
        router = self._names.router_namespace(vpc.vpc_id)
        if vpc.vpc_id not in applied.routers:
            namespaces.ensure(router, topology.FORWARDING_SYSCTLS)
        self._load(router, router_ruleset(vpc), applied.routers.get(vpc.vpc_id))
        if vpc.vpc_id not in applied.routers:
            namespaces.execute(topology.router_links(self._names, vpc.vpc_id, mtu=self._mtu))
            self._new_links[self._names.region_namespace].add(interface("v", vpc.vpc_id))
        applied.routers[vpc.vpc_id] = router_ruleset(vpc)
        for subnet in vpc.subnets:
            if (vpc.vpc_id, subnet.subnet_id) not in applied.subnets:
                namespaces.execute(topology.subnet_links(self._names, vpc.vpc_id, subnet, mtu=self._mtu))
                applied.subnets[vpc.vpc_id, subnet.subnet_id] = subnet.cidr
        for place in _places(vpc):
            self._apply_machine(applied, place)

    def _apply_machine(self, applied: _Applied, place: Place) -> None:
        machine, names = place.machine, self._names
        inside = names.machine_namespace(machine.instance_id)
        rules = machine_ruleset(
            machine.firewall, address=machine.private_address, subnet_cidr=place.subnet.cidr
        )
        if machine.instance_id not in applied.rules:
            namespaces.ensure(inside, topology.MACHINE_SYSCTLS)
        # The firewall is loaded before the link exists: there is no packet it does not see.
        self._load(inside, rules, applied.rules.get(machine.instance_id))
        applied.rules[machine.instance_id] = rules
        if machine.instance_id not in applied.places:
            namespaces.execute(topology.machine_links(names, place, mtu=self._mtu))
            self._new_links[names.router_namespace(place.vpc_id)].add(interface("m", machine.instance_id))
        applied.places[machine.instance_id] = place

    def _wait_for_new_links(self) -> None:
        for namespace, links in self._new_links.items():
            namespaces.wait_until_up(namespace, links)
        self._new_links.clear()

    def _load(self, namespace: str, rules: str, loaded: str | None) -> None:
        if rules != loaded:
            namespaces.load_rules(namespace, rules)

    def _apply_routes(self, applied: _Applied, vpcs: tuple[VpcState, ...]) -> None:
        wanted = {address: vpc.vpc_id for vpc in vpcs for address in public_addresses(vpc)}
        changed = {
            address: vpc_id for address, vpc_id in wanted.items() if applied.routes.get(address) != vpc_id
        }
        lines = [f"route del {address}/32" for address in sorted(set(applied.routes) - set(wanted))]
        lines += [
            f"route replace {topology.public_route(vpc_id, a)}" for a, vpc_id in sorted(changed.items())
        ]
        namespaces.execute([Commands(self._names.region_namespace, tuple(lines))])
        applied.routes = wanted


def _places(vpc: VpcState) -> list[Place]:
    subnets = {subnet.subnet_id: subnet for subnet in vpc.subnets}
    return [Place(vpc.vpc_id, subnets[machine.subnet_id], machine) for machine in vpc.machines]


def _link(place: Place | None) -> tuple[str, ...] | None:
    """Return what a machine's link is made of; its firewall and public address change without touching it."""
    if place is None:
        return None
    machine = place.machine
    return (
        place.vpc_id, place.subnet.subnet_id, place.subnet.cidr, machine.private_address, machine.mac_address
    )  # fmt: skip
