# SPDX-License-Identifier: Apache-2.0
"""Names inside a VPC."""

from __future__ import annotations

from pathlib import Path

import dnslib
import pytest

from sandbox.dns import Names, Resolver, host_resolvers


@pytest.fixture(name="names")
def fixture_names() -> Names:
    """Return the region's own names."""
    return Names()


@pytest.fixture(name="resolver")
def fixture_resolver(names: Names) -> Resolver:
    """Return a resolver that can forward to nobody."""
    return Resolver(names, {"198.18.0.1": "10.90.0.4"}.get, ())


def ask(resolver: Resolver, name: str, kind: str = "A") -> tuple[str, list[str]]:
    """Return the code and the addresses of an answer."""
    reply = dnslib.DNSRecord.parse(resolver.answer(dnslib.DNSRecord.question(name, kind).pack()))
    return dnslib.RCODE[reply.header.rcode], [str(record.rdata) for record in reply.rr]


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("ip-10-90-0-4.ec2.internal", ["10.90.0.4"]),
        ("IP-10-90-0-4.eu-west-1.compute.internal.", ["10.90.0.4"]),
        ("ec2-198-18-0-1.compute-1.amazonaws.com", ["10.90.0.4"]),
        ("ec2-198-18-0-9.compute-1.amazonaws.com", ["198.18.0.9"]),
        ("ip-10-90-0-999.ec2.internal", []),
    ],
)
def test_names_that_hold_their_address(resolver: Resolver, name: str, addresses: list[str]) -> None:
    assert ask(resolver, name) == ("NOERROR", addresses)
    assert ask(resolver, name, "AAAA") == ("NOERROR", [])


def test_names_that_services_add(resolver: Resolver, names: Names) -> None:
    names.put("Web-1.elb.internal.", ["10.90.0.5", "10.90.1.5"])
    assert ask(resolver, "web-1.elb.internal") == ("NOERROR", ["10.90.0.5", "10.90.1.5"])
    names.remove("web-1.elb.internal")
    assert ask(resolver, "web-1.elb.internal") == ("SERVFAIL", [])


def test_rubbish_is_not_answered(resolver: Resolver) -> None:
    assert resolver.answer(b"rubbish") == b""


def test_host_resolvers(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    assert host_resolvers(resolv_conf) == ()
    resolv_conf.write_text("# mine\nsearch example.com\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n")
    assert host_resolvers(resolv_conf) == ("192.0.2.1", "192.0.2.2")
