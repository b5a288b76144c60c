# SPDX-License-Identifier: Apache-2.0
"""Write nftables rulesets: a machine's security groups and network ACLs, a VPC router's translations.

Pure: values in, text for `nft -f -` out. Every text replaces its whole table in one transaction, so there
is no moment without rules, and connection tracking survives: an established connection outlives a rule that
goes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, collapse_addresses

from sandbox.network.addresses import LINK_LOCAL_SERVICES, METADATA, RESOLVER, TIME, is_ipv4
from sandbox.substrate import AclRule, Firewall, FirewallRule, VpcState

TABLE = "slipway"
_ALL = "-1"
_ANYWHERE = "0.0.0.0/0"
_ICMP = frozenset({"icmp", "1"})
_ICMP_V6 = frozenset({"icmpv6", "58"})
_NUMBERS = {"6": "tcp", "17": "udp"}
_PORTED = frozenset({"tcp", "udp"})
_MAX_PORT = 65535
_MAX_CODE = 255


def machine_ruleset(firewall: Firewall, *, address: str, subnet_cidr: str) -> str:
    """Return the ruleset of one machine's namespace.

    The ACL chains stand before connection tracking, so they see every packet by itself. Traffic inside the
    subnet and AWS's link-local services are beyond a network ACL's reach, and beyond a security group's in
    this direction.
    """
    return _table(
        TABLE,
        _chain(
            "acl_ingress",
            "type filter hook prerouting priority raw; policy drop;",
            ["iifname lo accept", "meta nfproto ipv6 drop", *_acl_bypass("ip saddr", subnet_cidr)],
            [_acl_rule("ip saddr", rule) for rule in _in_order(firewall.acl_ingress)],
        ),
        _chain(
            "acl_egress",
            "type filter hook output priority raw; policy drop;",
            ["oifname lo accept", "meta nfproto ipv6 drop", f"ip saddr != {address} drop"],
            _acl_bypass("ip daddr", subnet_cidr),
            [_acl_rule("ip daddr", rule) for rule in _in_order(firewall.acl_egress)],
        ),
        _chain(
            "groups_ingress",
            "type filter hook input priority filter; policy drop;",
            ["iifname lo accept", "ct state established,related accept", "ct state invalid drop"],
            _group_rules("ip saddr", firewall.ingress),
        ),
        _chain(
            "groups_egress",
            "type filter hook output priority filter; policy drop;",
            ["oifname lo accept", "ct state established,related accept", "ct state invalid drop"],
            _service_rules(),
            _group_rules("ip daddr", firewall.egress),
        ),
    )


def router_ruleset(vpc: VpcState) -> str:
    """Return the ruleset of a VPC's router: who has a way out, by which address, and who can be reached."""
    public = _public_addresses(vpc)
    carried = _carried_subnets(vpc)
    inbound = [f'iifname "up" ip daddr {outside} dnat ip to {inside}' for inside, outside in public.items()]
    outbound = [f'oifname "up" ip saddr {inside} snat ip to {outside}' for inside, outside in public.items()]
    nat = [f'oifname "up" ip saddr {cidr} snat ip to {outside}' for cidr, outside in carried.items()]
    may_leave = [f'oifname "up" ip saddr {source} accept' for source in (*public, *carried)]
    return _table(
        TABLE,
        _chain("inbound", "type nat hook prerouting priority dstnat;", inbound),
        _chain("outbound", "type nat hook postrouting priority srcnat;", outbound, nat),
        _chain(
            "forward",
            "type filter hook forward priority filter; policy drop;",
            ["ct state established,related accept", 'iifname != "up" oifname != "up" accept'],
            ['iifname "up" ct status dnat accept'],
            may_leave,
        ),
        _chain(
            "input",
            "type filter hook input priority filter; policy accept;",
            ["ct state established,related accept", 'iifname "up" drop'],
        ),
    )


def host_ruleset(table: str, *, link: str, family: str, public_range: str) -> str:
    """Return the host's ruleset: machines may reach the world, the world may not reach machines.

    The host itself is not forwarded and so is not filtered here; it counts as the internet. `family` is the
    interface prefix all regions of this host share: regions do not see each other.
    """
    return _table(
        table,
        _chain(
            "outbound",
            "type nat hook postrouting priority srcnat;",
            [f'ip saddr {public_range} oifname != "{link}" masquerade'],
        ),
        _chain(
            "forward",
            "type filter hook forward priority filter; policy accept;",
            [
                f'iifname "{link}" oifname "{family}*" drop',
                f'iifname "{link}" ip saddr != {public_range} drop',
            ],
            [f'oifname "{link}" ct state established,related accept', f'oifname "{link}" drop'],
        ),
    )


def guard_ruleset(table: str, links: Sequence[str]) -> str:
    """Return rules that keep the host from routing between `links`, as before we let it forward."""
    listed = "{ " + ", ".join(f'"{link}"' for link in sorted(links)) + " }"
    rules = [f"iifname {listed} oifname {listed} drop"] if links else []
    return _table(table, _chain("forward", "type filter hook forward priority filter; policy accept;", rules))


def _table(name: str, *chains: str) -> str:
    body = "\n".join(chains)
    # "add, delete, add": delete alone fails on the first load, and flush would leave the chains' old
    # policies.
    return f"add table inet {name}\ndelete table inet {name}\ntable inet {name} {{\n{body}\n}}\n"


def _chain(name: str, hook: str, *groups: Iterable[str]) -> str:
    rules = [rule for group in groups for rule in group if rule]
    return "\n".join([f"  chain {name} {{", f"    {hook}", *(f"    {rule}" for rule in rules), "  }"])


def _acl_bypass(side: str, subnet_cidr: str) -> list[str]:
    services = ", ".join(LINK_LOCAL_SERVICES)
    return [f"{side} {{ {services} }} accept", f"{side} {subnet_cidr} accept"]


def _service_rules() -> list[str]:
    return [
        f"ip daddr {METADATA} tcp dport 80 accept",
        f"ip daddr {RESOLVER} meta l4proto {{ tcp, udp }} th dport 53 accept",
        f"ip daddr {TIME} udp dport 123 accept",
    ]


def _group_rules(side: str, rules: Sequence[FirewallRule]) -> list[str]:
    return [_group_rule(side, rule) for rule in rules]


def _group_rule(side: str, rule: FirewallRule) -> str:
    cidrs = [cidr for cidr in rule.cidrs if is_ipv4(cidr)]
    if not cidrs or rule.protocol.lower() in _ICMP_V6:
        return ""
    flow = _flow(rule.protocol, rule.from_port, rule.to_port)
    return " ".join(part for part in (_peers(side, cidrs), flow, "accept") if part)


def _in_order(rules: Sequence[AclRule]) -> list[AclRule]:
    return sorted(rules, key=lambda rule: rule.number)


def _acl_rule(side: str, rule: AclRule) -> str:
    if not is_ipv4(rule.cidr) or rule.protocol.lower() in _ICMP_V6:
        return ""
    flow = _flow(rule.protocol, rule.from_port, rule.to_port)
    verdict = "accept" if rule.is_allow else "drop"
    return " ".join(part for part in (_peers(side, [rule.cidr]), flow, verdict) if part)


def _peers(side: str, cidrs: Sequence[str]) -> str:
    merged = [
        str(network) for network in collapse_addresses(IPv4Network(cidr, strict=False) for cidr in cidrs)
    ]
    if merged == [_ANYWHERE]:
        return "meta nfproto ipv4"
    return f"{side} {{ {', '.join(merged)} }}" if len(merged) > 1 else f"{side} {merged[0]}"


def _flow(protocol: str, from_port: int | None, to_port: int | None) -> str:
    name = _NUMBERS.get(protocol, protocol.lower())
    if name == _ALL:
        return ""
    if name in _ICMP:
        return _icmp(from_port, to_port)
    if name not in _PORTED:
        return f"meta l4proto {name}"
    if from_port is None or (from_port <= 0 and to_port in {None, -1, _MAX_PORT}):
        return f"meta l4proto {name}"
    last = from_port if to_port is None else to_port
    return f"{name} dport {from_port}" if last == from_port else f"{name} dport {from_port}-{last}"


def _icmp(kind: int | None, code: int | None) -> str:
    if kind is None or kind < 0:
        return "meta l4proto icmp"
    has_code = code is not None and 0 <= code <= _MAX_CODE
    return f"icmp type {kind} icmp code {code}" if has_code else f"icmp type {kind}"


def _public_addresses(vpc: VpcState) -> dict[str, str]:
    reachable = {subnet.subnet_id for subnet in vpc.subnets if subnet.internet == "gateway"}
    return {
        machine.private_address: machine.public_address
        for machine in vpc.machines
        if machine.public_address and machine.subnet_id in reachable
    }


def _carried_subnets(vpc: VpcState) -> dict[str, str]:
    return {s.cidr: s.internet for s in vpc.subnets if s.internet is not None and s.internet != "gateway"}


def public_addresses(vpc: VpcState) -> frozenset[str]:
    """Return every public address that leads to this VPC's router."""
    return frozenset(_public_addresses(vpc).values()) | frozenset(_carried_subnets(vpc).values())
