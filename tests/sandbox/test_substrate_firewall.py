# SPDX-License-Identifier: Apache-2.0
"""Security groups and network ACLs, tried with real packets: a machine's place in the network is enough."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import process
from sandbox.machines.host import HostSubstrate
from sandbox.network.firewall import machine_ruleset
from sandbox.substrate import AclRule, Firewall, FirewallRule
from tests.sandbox.networks import ACL_ALL, ALL, ANYWHERE, CLOSED, OPEN, machine, tcp, vpc
from tests.sandbox.packets import PATIENCE_S, at, can_connect, connection, echoes, ip, listening, ping

pytestmark = pytest.mark.sandbox

CLIENT, SERVER, FAR = "10.0.1.10", "10.0.1.11", "10.0.2.12"


class Pair:
    """A client, a server in its subnet and one in the other subnet, with firewalls to choose."""

    def __init__(self, substrate: HostSubstrate) -> None:
        self.substrate = substrate
        self.client = substrate.names.machine_namespace("i-client")
        self.server = substrate.names.machine_namespace("i-server")
        self.far = substrate.names.machine_namespace("i-far")

    def apply(self, server: Firewall = OPEN, client: Firewall = OPEN, far: Firewall = OPEN) -> None:
        """Make these firewalls live."""
        self.substrate.apply_network(
            (
                vpc(
                    machine("client", CLIENT, firewall=client),
                    machine("server", SERVER, firewall=server),
                    machine("far", FAR, subnet="subnet-b", firewall=far),
                ),
            )
        )


@pytest.fixture(scope="module")
def pair(substrate: HostSubstrate) -> Pair:
    """The machines' places."""
    made = Pair(substrate)
    made.apply()
    return made


@pytest.mark.parametrize(
    ("rules", "is_open"),
    [
        pytest.param((), False, id="default-deny"),
        pytest.param((tcp(8080),), True, id="port"),
        pytest.param((tcp(8081),), False, id="other-port"),
        pytest.param((tcp(8080, f"{CLIENT}/32"),), True, id="member-of-group"),
        pytest.param((tcp(8080, f"{FAR}/32"),), False, id="member-of-other-group"),
        pytest.param((FirewallRule("tcp", 8000, 8100, (ANYWHERE,)),), True, id="range"),
        pytest.param((FirewallRule("6", 0, 65535, (ANYWHERE,)),), True, id="protocol-number"),
        pytest.param((FirewallRule("udp", 8080, 8080, (ANYWHERE,)),), False, id="other-protocol"),
        pytest.param((FirewallRule("-1", None, None, ("10.0.1.0/24", "10.0.0.0/8")),), True, id="overlap"),
        pytest.param((FirewallRule("tcp", 8080, 8080, ("::/0",)),), False, id="ipv6-only"),
    ],
)
def test_security_group_lets_in_what_it_allows(
    pair: Pair, rules: tuple[FirewallRule, ...], is_open: bool
) -> None:
    pair.apply(server=replace(CLOSED, ingress=rules))
    with listening(pair.server, 8080):
        assert can_connect(pair.client, SERVER, 8080) is is_open


def test_security_group_change_is_live_and_spares_established_connections(pair: Pair) -> None:
    pair.apply(server=replace(CLOSED, ingress=(tcp(8080),)))
    with listening(pair.server, 8080), connection(pair.client, SERVER, 8080) as made:
        assert echoes(made)
        pair.apply(server=CLOSED)
        assert not can_connect(pair.client, SERVER, 8080)
        assert echoes(made)


def test_security_group_without_egress_still_answers(pair: Pair) -> None:
    pair.apply(server=replace(OPEN, egress=()))
    with listening(pair.server, 8080), listening(pair.client, 8080):
        assert can_connect(pair.client, SERVER, 8080)
        assert not can_connect(pair.server, CLIENT, 8080)


def test_security_group_filters_egress_by_address_and_port(pair: Pair) -> None:
    pair.apply(client=replace(OPEN, egress=(tcp(8080, f"{SERVER}/32"),)))
    with listening(pair.server, 8080), listening(pair.server, 8081), listening(pair.far, 8080):
        assert can_connect(pair.client, SERVER, 8080)
        assert not can_connect(pair.client, SERVER, 8081)
        assert not can_connect(pair.client, FAR, 8080)


@pytest.mark.parametrize(
    ("kind", "code", "is_answered"),
    [
        pytest.param(None, None, True, id="all"),
        pytest.param(-1, -1, True, id="all-as-the-api-writes-it"),
        pytest.param(8, 0, True, id="echo"),
        pytest.param(8, None, True, id="echo-any-code"),
        pytest.param(3, None, False, id="unreachable-only"),
    ],
)
def test_security_group_filters_icmp(
    pair: Pair, kind: int | None, code: int | None, is_answered: bool
) -> None:
    pair.apply(server=replace(CLOSED, ingress=(FirewallRule("icmp", kind, code, (ANYWHERE,)),)))
    assert ping(pair.client, SERVER) is is_answered


def test_network_acl_is_stateless(pair: Pair) -> None:
    only_in = replace(OPEN, acl_ingress=(AclRule(100, "tcp", 8080, 8080, ANYWHERE, True),), acl_egress=())
    with listening(pair.far, 8080):
        pair.apply(far=only_in)
        assert not can_connect(pair.client, FAR, 8080)  # the request gets in, the answer not out
        answers = AclRule(100, "tcp", 1024, 65535, ANYWHERE, True)
        pair.apply(far=replace(only_in, acl_egress=(answers,)))
        assert can_connect(pair.client, FAR, 8080)


def test_network_acl_obeys_the_lowest_number_whatever_the_order(pair: Pair) -> None:
    deny = AclRule(90, "tcp", 8080, 8080, f"{CLIENT}/32", False)
    with listening(pair.far, 8080):
        pair.apply(far=replace(OPEN, acl_ingress=(*ACL_ALL, deny)))
        assert not can_connect(pair.client, FAR, 8080)
        pair.apply(far=replace(OPEN, acl_ingress=(replace(deny, number=110), *ACL_ALL)))
        assert can_connect(pair.client, FAR, 8080)


def test_network_acl_cuts_established_connections(pair: Pair) -> None:
    pair.apply()
    with listening(pair.far, 8080), connection(pair.client, FAR, 8080) as made:
        assert echoes(made)
        pair.apply(far=replace(OPEN, acl_ingress=()))
        assert not echoes(made)


def test_network_acl_leaves_traffic_inside_the_subnet_alone(pair: Pair) -> None:
    pair.apply(server=replace(OPEN, acl_ingress=(), acl_egress=()))
    with listening(pair.server, 8080):
        assert can_connect(pair.client, SERVER, 8080)
        assert not can_connect(pair.far, SERVER, 8080)


def test_link_local_services_are_reached_with_nothing_allowed_and_see_the_private_address(pair: Pair) -> None:
    pair.apply(client=Firewall())
    for address, port in (("169.254.169.254", 80), ("169.254.169.253", 53)):
        with pair.substrate.listen("vpc-1", address, port, kind=socket.SOCK_STREAM) as service:
            service.settimeout(2)
            with connection(pair.client, address, port):
                accepted, caller = service.accept()
                accepted.close()
                assert caller[0] == CLIENT


def test_machine_sends_only_from_its_own_address(pair: Pair) -> None:
    pair.apply()
    stolen = "10.0.1.99"
    ip("-n", pair.client, "addr", "replace", f"{stolen}/24", "dev", "eth0")

    def reaches(source: str) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
            made.settimeout(PATIENCE_S)
            made.bind((source, 0))
            return made.connect_ex((SERVER, 8080)) == 0

    with listening(pair.server, 8080):
        assert at(pair.client, lambda: reaches(CLIENT))
        assert not at(pair.client, lambda: reaches(stolen))


_cidrs = st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "10.0.1.0/24", "10.0.1.7/32", "192.0.2.1/32", "::/0"])
_ports = st.sampled_from([(None, None), (-1, -1), (0, 65535), (0, 0), (22, 22), (22, None), (1024, 65535)])
_icmp = st.sampled_from([(None, None), (-1, -1), (8, 0), (8, -1), (3, None), (3, 65535), (0, 0)])
_flows = st.one_of(
    st.tuples(st.sampled_from(["tcp", "udp", "6", "17", "-1", "50", "58", "icmpv6"]), _ports),
    st.tuples(st.sampled_from(["icmp", "1"]), _icmp),
)
_group_rule = st.builds(
    lambda flow, cidrs: FirewallRule(flow[0], *flow[1], tuple(cidrs)), _flows, st.lists(_cidrs, max_size=4)
)
_acl_rule = st.builds(
    lambda number, flow, cidr, allow: AclRule(number, flow[0], *flow[1], cidr, allow),
    st.integers(1, 32766), _flows, _cidrs, st.booleans(),
)  # fmt: skip


@pytest.mark.usefixtures("able_host")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_group_rule, max_size=5), st.lists(_acl_rule, max_size=5))
def test_the_kernel_takes_every_ruleset(groups: list[FirewallRule], acls: list[AclRule]) -> None:
    firewall = Firewall(tuple(groups), tuple(groups) + ALL, tuple(acls), tuple(acls) + ACL_ALL)
    text = machine_ruleset(firewall, address="10.0.1.7", subnet_cidr="10.0.1.0/24")
    process.run(["nft", "--check", "--file", "-"], action="check a ruleset", stdin=text)
