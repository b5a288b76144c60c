# SPDX-License-Identifier: Apache-2.0
"""The text of rulesets. Whether the kernel does what they say is tried with packets in tests/sandbox."""

from __future__ import annotations

import pytest

from sandbox.network.firewall import (
    guard_ruleset,
    host_ruleset,
    machine_ruleset,
    public_addresses,
    router_ruleset,
)
from sandbox.substrate import AclRule, AttachedMachine, Firewall, FirewallRule, SubnetState, VpcState


def chain(ruleset: str, name: str) -> list[str]:
    """Return the lines of one chain, the hook first."""
    lines = ruleset.splitlines()
    start = lines.index(f"  chain {name} {{")
    return [line.strip() for line in lines[start + 1 : lines.index("  }", start)]]


def ingress(*rules: FirewallRule) -> list[str]:
    """Return what the rules add to an ingress chain."""
    text = machine_ruleset(Firewall(ingress=rules), address="10.0.1.7", subnet_cidr="10.0.1.0/24")
    return chain(text, "groups_ingress")[4:]


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        pytest.param(
            FirewallRule("tcp", 22, 22, ("192.0.2.7/32",)),
            "ip saddr 192.0.2.7/32 tcp dport 22 accept",
            id="port",
        ),
        pytest.param(
            FirewallRule("udp", 1000, 2000, ("0.0.0.0/0",)),
            "meta nfproto ipv4 udp dport 1000-2000 accept",
            id="range",
        ),
        pytest.param(
            FirewallRule("tcp", 80, 80, ("10.0.1.4/32", "10.0.1.5/32", "10.9.0.0/16")),
            "ip saddr { 10.0.1.4/31, 10.9.0.0/16 } tcp dport 80 accept",
            id="peers-merged",
        ),
        pytest.param(
            FirewallRule("tcp", 80, 80, ("::/0", "10.9.0.0/16")),
            "ip saddr 10.9.0.0/16 tcp dport 80 accept",
            id="ipv6-dropped",
        ),
        pytest.param(
            FirewallRule("-1", None, None, ("10.0.0.0/8",)), "ip saddr 10.0.0.0/8 accept", id="everything"
        ),
        pytest.param(
            FirewallRule("6", 0, 65535, ("0.0.0.0/0",)),
            "meta nfproto ipv4 meta l4proto tcp accept",
            id="number",
        ),
        pytest.param(
            FirewallRule("50", None, None, ("0.0.0.0/0",)),
            "meta nfproto ipv4 meta l4proto 50 accept",
            id="other-protocol",
        ),
        pytest.param(
            FirewallRule("icmp", 8, 0, ("0.0.0.0/0",)),
            "meta nfproto ipv4 icmp type 8 icmp code 0 accept",
            id="icmp-type-code",
        ),
        pytest.param(
            FirewallRule("icmp", -1, -1, ("0.0.0.0/0",)),
            "meta nfproto ipv4 meta l4proto icmp accept",
            id="icmp",
        ),
    ],
)
def test_security_group_rule(rule: FirewallRule, line: str) -> None:
    assert ingress(rule) == [line]


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(FirewallRule("tcp", 22, 22, ()), id="empty-group"),
        pytest.param(FirewallRule("tcp", 22, 22, ("::/0",)), id="ipv6"),
        pytest.param(FirewallRule("icmpv6", None, None, ("0.0.0.0/0",)), id="icmpv6"),
        pytest.param(FirewallRule("58", None, None, ("0.0.0.0/0",)), id="icmpv6-by-number"),
    ],
)
def test_rule_that_no_packet_matches_adds_nothing(rule: FirewallRule) -> None:
    assert ingress(rule) == []


def test_network_acl_rules_are_in_order_of_their_numbers_before_tracking() -> None:
    rules = (
        AclRule(200, "-1", None, None, "0.0.0.0/0", True),
        AclRule(100, "tcp", 22, 22, "192.0.2.0/24", False),
    )
    text = machine_ruleset(Firewall(acl_ingress=rules), address="10.0.1.7", subnet_cidr="10.0.1.0/24")
    hook, *lines = chain(text, "acl_ingress")
    assert hook == "type filter hook prerouting priority raw; policy drop;"
    assert lines[-2:] == ["ip saddr 192.0.2.0/24 tcp dport 22 drop", "meta nfproto ipv4 accept"]


def test_machine_that_nothing_allows_keeps_its_services() -> None:
    text = machine_ruleset(Firewall(), address="10.0.1.7", subnet_cidr="10.0.1.0/24")
    assert chain(text, "groups_ingress")[1:] == [
        "iifname lo accept", "ct state established,related accept", "ct state invalid drop",
    ]  # fmt: skip
    assert chain(text, "groups_egress")[4:] == [
        "ip daddr 169.254.169.254 tcp dport 80 accept",
        "ip daddr 169.254.169.253 meta l4proto { tcp, udp } th dport 53 accept",
        "ip daddr 169.254.169.123 udp dport 123 accept",
    ]
    assert all("policy drop" in chain(text, name)[0] for name in ("groups_ingress", "groups_egress"))


def attached(number: int, subnet_id: str, public: str | None) -> AttachedMachine:
    """Describe a machine."""
    address = f"10.0.{number}.9"
    return AttachedMachine(f"i-{number}", subnet_id, address, "02:00:00:00:00:01", public, Firewall())


VPC = VpcState(
    "vpc-1",
    ("10.0.0.0/16",),
    (
        SubnetState("subnet-1", "10.0.1.0/24", "gateway"),
        SubnetState("subnet-2", "10.0.2.0/24", "198.18.2.2"),
        SubnetState("subnet-3", "10.0.3.0/24", None),
    ),
    (
        attached(1, "subnet-1", "198.18.2.1"),
        attached(2, "subnet-2", None),
        attached(3, "subnet-3", "198.18.2.3"),
    ),
)


def test_router_translates_for_who_has_a_way_out() -> None:
    text = router_ruleset(VPC)
    assert chain(text, "inbound")[1:] == ['iifname "up" ip daddr 198.18.2.1 dnat ip to 10.0.1.9']
    assert chain(text, "outbound")[1:] == [
        'oifname "up" ip saddr 10.0.1.9 snat ip to 198.18.2.1',
        'oifname "up" ip saddr 10.0.2.0/24 snat ip to 198.18.2.2',
    ]
    assert chain(text, "forward")[4:] == [
        'oifname "up" ip saddr 10.0.1.9 accept', 'oifname "up" ip saddr 10.0.2.0/24 accept',
    ]  # fmt: skip


def test_public_addresses_are_those_that_lead_somewhere() -> None:
    assert public_addresses(VPC) == {"198.18.2.1", "198.18.2.2"}


def test_host_forwards_out_of_the_range_only_and_back_only_answers() -> None:
    text = host_ruleset("slw_x", link="slw-x", family="slw-", public_range="198.18.0.0/22")
    assert chain(text, "forward") == [
        "type filter hook forward priority filter; policy accept;",
        'iifname "slw-x" oifname "slw-*" drop',
        'iifname "slw-x" ip saddr != 198.18.0.0/22 drop',
        'oifname "slw-x" ct state established,related accept',
        'oifname "slw-x" drop',
    ]


def test_guard_forbids_what_the_host_did_not_forward_before() -> None:
    assert chain(guard_ruleset("slw_guard", ["eth1", "eth0"]), "forward")[1:] == [
        'iifname { "eth0", "eth1" } oifname { "eth0", "eth1" } drop'
    ]
    assert chain(guard_ruleset("slw_guard", []), "forward")[1:] == []
