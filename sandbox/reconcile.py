# SPDX-License-Identifier: Apache-2.0
"""Compute from moto's EC2 state the networks and firewalls that the substrate must carry. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.substrate import AclRule, AttachedMachine, Firewall, FirewallRule, SubnetState, VpcState

ANYWHERE = "0.0.0.0/0"
GATEWAY = "gateway"

# States in which an instance has a machine, or is about to have one, or has not yet lost it.
_WITH_MACHINE = frozenset({"pending", "running", "stopping", "stopped", "shutting-down"})
_PROTOCOL_NAMES = {"1": "icmp", "6": "tcp", "17": "udp"}


def vpc_states(backend: Any) -> tuple[VpcState, ...]:
    """Return every VPC that holds a machine or a node of a service, in a stable order."""
    members = group_members(backend)
    machines: dict[str, list[AttachedMachine]] = {}
    places = [(instance.id, instance.nics[0]) for instance in instances_with_machine(backend)]
    places += [(nic.id, nic) for nic in node_interfaces(backend)]
    for member_id, nic in places:
        attached = _attached_machine(backend, member_id, nic=nic, members=members)
        machines.setdefault(nic.subnet.vpc_id, []).append(attached)
    return tuple(_vpc_state(backend, vpc_id, machines[vpc_id]) for vpc_id in sorted(machines))


def instances_with_machine(backend: Any) -> Iterator[Any]:
    """Yield the moto instances that the network must hold a place for."""
    for reservation in list(backend.reservations.values()):
        for instance in reservation.instances:
            if instance.state in _WITH_MACHINE and instance.nics:
                yield instance


def node_interfaces(backend: Any) -> Iterator[Any]:
    """Yield the interfaces that services of the region hold in VPCs; each is a member of the network.

    AWS calls them requester-managed. A node is known by its interface's id wherever a machine is by its
    instance's.
    """
    yield from (nic for nic in list(backend.enis.values()) if nic.requester_managed)


def group_members(backend: Any) -> dict[str, tuple[str, ...]]:
    """Return for each security group the private addresses of the interfaces that belong to it."""
    members: dict[str, set[str]] = {}
    for eni in list(backend.enis.values()):
        addresses = [each["PrivateIpAddress"] for each in eni.private_ip_addresses]
        for group in eni.group_set:
            members.setdefault(group.id, set()).update(addresses)
    return {group_id: tuple(sorted(addresses)) for group_id, addresses in members.items()}


def _vpc_state(backend: Any, vpc_id: str, machines: list[AttachedMachine]) -> VpcState:
    subnets = [
        subnet for zone in backend.subnets.values() for subnet in zone.values() if subnet.vpc_id == vpc_id
    ]
    cidrs = [each["cidr_block"] for each in backend.vpcs[vpc_id].get_cidr_block_association_set()]
    return VpcState(
        vpc_id=vpc_id,
        cidrs=tuple(sorted(cidrs)),
        subnets=tuple(
            SubnetState(subnet.id, subnet.cidr_block, way_out(backend, subnet))
            for subnet in sorted(subnets, key=lambda subnet: subnet.id)
        ),
        machines=tuple(sorted(machines, key=lambda machine: machine.instance_id)),
    )


def way_out(backend: Any, subnet: Any) -> str | None:
    """Return how the subnet's machines reach the internet, in the words of `SubnetState.internet`."""
    route = _default_route(backend, subnet)
    if route is None:
        return None
    if route.gateway is not None:
        return GATEWAY if _is_attached(backend, route.gateway.id, subnet.vpc_id) else None
    if route.nat_gateway is not None:
        return _nat_address(backend, route.nat_gateway)
    return None


def _default_route(backend: Any, subnet: Any) -> Any | None:
    tables = [table for table in backend.route_tables.values() if table.vpc_id == subnet.vpc_id]
    own = [table for table in tables if subnet.id in table._associations.values()]
    main = [table for table in tables if table.main_association_id is not None]
    for table in (own or main)[:1]:
        for route in table.routes:
            if route.destination_cidr_block == ANYWHERE:
                return route
    return None


def _is_attached(backend: Any, gateway_id: str, vpc_id: str) -> bool:
    gateway = backend.internet_gateways.get(gateway_id)
    return gateway is not None and gateway.vpc is not None and gateway.vpc.id == vpc_id


def _nat_address(backend: Any, nat_gateway: Any) -> str | None:
    """Return the NAT gateway's public address, if it works: one in a private subnet reaches nothing."""
    if nat_gateway.state != "available" or not nat_gateway.address_set:
        return None
    home = backend.get_subnet(nat_gateway.subnet_id)
    if way_out(backend, home) != GATEWAY:
        return None
    address: str | None = nat_gateway.address_set[0].get("publicIp")
    return address


def _attached_machine(
    backend: Any, member_id: str, *, nic: Any, members: dict[str, tuple[str, ...]]
) -> AttachedMachine:
    return AttachedMachine(
        instance_id=member_id,
        subnet_id=nic.subnet.id,
        private_address=nic.private_ip_address,
        mac_address=nic.mac_address,
        public_address=nic.public_ip,
        firewall=_firewall(backend, nic, members),
    )


def _firewall(backend: Any, nic: Any, members: dict[str, tuple[str, ...]]) -> Firewall:
    groups = list(nic.group_set)
    acl_ingress, acl_egress = _network_acl(backend, nic.subnet)
    return Firewall(
        ingress=group_rules((rule for group in groups for rule in group.ingress_rules), members),
        egress=group_rules((rule for group in groups for rule in group.egress_rules), members),
        acl_ingress=acl_ingress,
        acl_egress=acl_egress,
    )


def group_rules(rules: Iterable[Any], members: dict[str, tuple[str, ...]]) -> tuple[FirewallRule, ...]:
    """Return the rules as allowed flows, with referenced groups replaced by their members' addresses."""
    flows: dict[tuple[str, int | None, int | None], set[str]] = {}
    for rule in rules:
        if cidrs := _sources(rule, members):
            protocol = _PROTOCOL_NAMES.get(rule.ip_protocol, rule.ip_protocol)
            flows.setdefault((protocol, *_ports(rule.from_port, rule.to_port)), set()).update(cidrs)
    ordered = sorted(flows.items(), key=lambda flow: str(flow[0]))
    return tuple(FirewallRule(*flow, cidrs=tuple(sorted(cidrs))) for flow, cidrs in ordered)


def _sources(rule: Any, members: dict[str, tuple[str, ...]]) -> list[str]:
    if group_id := rule.source_group.get("GroupId"):
        return [f"{address}/32" for address in members.get(group_id, ())]
    cidr = rule.ip_range.get("CidrIp")
    return [cidr] if cidr else []


def _ports(first: Any, last: Any) -> tuple[int | None, int | None]:
    """Return ports (or ICMP type and code) as numbers; the API writes -1 for all."""
    as_number = [None if value in (None, "", -1, "-1") else int(value) for value in (first, last)]
    return as_number[0], as_number[1]


def _network_acl(backend: Any, subnet: Any) -> tuple[tuple[AclRule, ...], tuple[AclRule, ...]]:
    for acl in backend.network_acls.values():
        if any(association.subnet_id == subnet.id for association in acl.associations):
            entries = [_acl_rule(entry) for entry in acl.entries if entry.cidr_block]
            flags = [_is_true(entry.egress) for entry in acl.entries if entry.cidr_block]
            return _in_order(entries, flags, False), _in_order(entries, flags, True)
    return (), ()


def _in_order(rules: list[AclRule], egress: list[bool], wanted: bool) -> tuple[AclRule, ...]:
    picked = [rule for rule, is_egress in zip(rules, egress, strict=True) if is_egress is wanted]
    return tuple(sorted(picked, key=lambda rule: rule.number))


def _acl_rule(entry: Any) -> AclRule:
    protocol = _PROTOCOL_NAMES.get(str(entry.protocol), str(entry.protocol))
    bounds = (
        (entry.icmp_type, entry.icmp_code)
        if protocol == "icmp"
        else (entry.port_range_from, entry.port_range_to)
    )
    first, last = _ports(*bounds)
    return AclRule(
        number=int(entry.rule_number),
        protocol=protocol,
        from_port=first,
        to_port=last,
        cidr=entry.cidr_block,
        is_allow=entry.rule_action == "allow",
    )


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"
