# SPDX-License-Identifier: Apache-2.0
"""Short ways to write down VPCs for tests."""

from __future__ import annotations

from dataclasses import replace

from sandbox.substrate import AclRule, AttachedMachine, Firewall, FirewallRule, SubnetState, VpcState

ANYWHERE = "0.0.0.0/0"
ALL = (FirewallRule("-1", None, None, (ANYWHERE,)),)
ACL_ALL = (AclRule(100, "-1", None, None, ANYWHERE, True),)
OPEN = Firewall(ingress=ALL, egress=ALL, acl_ingress=ACL_ALL, acl_egress=ACL_ALL)
CLOSED = replace(OPEN, ingress=())


def tcp(port: int, *cidrs: str) -> FirewallRule:
    """Allow one TCP port."""
    return FirewallRule("tcp", port, port, cidrs or (ANYWHERE,))


def machine(
    name: str,
    address: str,
    *,
    subnet: str = "subnet-a",
    public: str | None = None,
    firewall: Firewall = OPEN,
) -> AttachedMachine:
    """Describe a machine; its MAC address is made of its private one, as in EC2 of old."""
    octets = [int(part) for part in address.split(".")]
    mac = "02:00:" + ":".join(f"{octet:02x}" for octet in octets)
    return AttachedMachine(f"i-{name}", subnet, address, mac, public, firewall)


def vpc(
    *machines: AttachedMachine,
    name: str = "vpc-1",
    internet: str | None = "gateway",
    other: str | None = None,
) -> VpcState:
    """Describe a VPC with two subnets, `subnet-a` 10.0.1.0/24 and `subnet-b` 10.0.2.0/24."""
    subnets = (
        SubnetState("subnet-a", "10.0.1.0/24", internet),
        SubnetState("subnet-b", "10.0.2.0/24", other),
    )
    return VpcState(name, ("10.0.0.0/16",), subnets, machines)
