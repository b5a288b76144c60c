# SPDX-License-Identifier: Apache-2.0
"""The resolver of a VPC at 169.254.169.253: names of the region, and all others as the host resolves them."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import dnslib

ADDRESS = "169.254.169.253"
PORT = 53
TTL_S = 5
FORWARD_TIMEOUT_S = 3.0
_PRIVATE_NAME = re.compile(
    r"ip-(\d+)-(\d+)-(\d+)-(\d+)\.(?:ec2|[a-z0-9-]+\.compute)\.internal\.?", re.IGNORECASE
)
_PUBLIC_NAME = re.compile(
    r"ec2-(\d+)-(\d+)-(\d+)-(\d+)\.[a-z0-9-]+(?:\.compute)?\.amazonaws\.com\.?", re.IGNORECASE
)


class Names:
    """Names that services of the region add: balancers, databases, service endpoints."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._addresses: dict[str, tuple[str, ...]] = {}

    def put(self, name: str, addresses: Iterable[str]) -> None:
        """Let `name` resolve to `addresses`, in turn."""
        with self._lock:
            self._addresses[_normal(name)] = tuple(addresses)

    def remove(self, name: str) -> None:
        """Forget `name`."""
        with self._lock:
            self._addresses.pop(_normal(name), None)

    def get(self, name: str) -> tuple[str, ...] | None:
        """Return the addresses of `name`, or None if it is not the region's."""
        with self._lock:
            return self._addresses.get(_normal(name))


class Resolver:
    """Answers DNS messages of one VPC."""

    def __init__(
        self, names: Names, private_address_of: Callable[[str], str | None], upstreams: Iterable[str]
    ) -> None:
        self._names = names
        self._private_address_of = private_address_of
        self._upstreams = tuple(upstreams)

    def answer(self, message: bytes) -> bytes:
        """Return the answer to a DNS message."""
        try:
            query = dnslib.DNSRecord.parse(message)
            name, kind = str(query.q.qname), query.q.qtype
        except (dnslib.DNSError, IndexError, AttributeError):
            return b""
        addresses = self._own(name)
        if addresses is None:
            return self._forward(message) or _failure(query)
        reply = query.reply()
        if kind in (dnslib.QTYPE.A, dnslib.QTYPE.ANY):
            for address in addresses:
                reply.add_answer(dnslib.RR(query.q.qname, dnslib.QTYPE.A, rdata=dnslib.A(address), ttl=TTL_S))
        return bytes(reply.pack())

    def _own(self, name: str) -> tuple[str, ...] | None:
        if match := _PRIVATE_NAME.fullmatch(name):
            return _valid(".".join(match.groups()))
        if match := _PUBLIC_NAME.fullmatch(name):
            # Inside the VPC a public name leads to the private address, as on AWS.
            public = ".".join(match.groups())
            return _valid(self._private_address_of(public) or public)
        return self._names.get(name)

    def _forward(self, message: bytes) -> bytes | None:
        for upstream in self._upstreams:
            family = socket.AF_INET6 if ":" in upstream else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.settimeout(FORWARD_TIMEOUT_S)
                try:
                    sender.connect((upstream, PORT))
                    sender.send(message)
                    return sender.recv(65535)
                except OSError:
                    continue
        return None


def host_resolvers(resolv_conf: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """Return the name servers that the host uses."""
    if not resolv_conf.exists():
        return ()
    lines = (line.split() for line in resolv_conf.read_text("utf-8").splitlines())
    return tuple(line[1] for line in lines if len(line) > 1 and line[0] == "nameserver")


def _failure(query: dnslib.DNSRecord) -> bytes:
    reply = query.reply()
    reply.header.rcode = dnslib.RCODE.SERVFAIL
    return bytes(reply.pack())


def _valid(address: str) -> tuple[str, ...]:
    try:
        return (str(ipaddress.IPv4Address(address)),)
    except ValueError:
        return ()


def _normal(name: str) -> str:
    return name.rstrip(".").lower()
