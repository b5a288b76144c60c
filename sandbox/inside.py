# SPDX-License-Identifier: Apache-2.0
"""Serve instance metadata and names inside every VPC, through the sockets that the substrate opens there."""

from __future__ import annotations

import logging
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol

from sandbox import dns, imds
from sandbox.substrate import Substrate, VpcState

log = logging.getLogger(__name__)

Ask = Callable[[imds.Question, str], imds.Answer]


class Metadata(Protocol):
    """Finds who asks and answers."""

    def ask(self, vpc_id: str, address: str, question: imds.Question) -> tuple[imds.Answer, int]:
        """Return the answer to the machine at `address`, and the hop limit of a token answer."""

    def private_address_of(self, vpc_id: str, public_address: str) -> str | None:
        """Return the private address of the machine that holds a public one."""


class NoServices:
    """For a substrate that has no inside."""

    def follow(self, vpcs: tuple[VpcState, ...]) -> None:
        """Serve nothing."""

    def close(self) -> None:
        """Nothing is served."""


class InsideServices:
    """Keeps one set of listeners per VPC."""

    def __init__(self, substrate: Substrate, metadata: Metadata, names: dns.Names) -> None:
        self._substrate = substrate
        self._metadata = metadata
        self._names = names
        self._upstreams = dns.host_resolvers()
        self._servers: dict[str, list[socketserver.BaseServer]] = {}

    def follow(self, vpcs: tuple[VpcState, ...]) -> None:
        """Serve exactly these VPCs."""
        wanted = {vpc.vpc_id for vpc in vpcs}
        for vpc_id in set(self._servers) - wanted:
            self._end(vpc_id)
        for vpc_id in wanted - set(self._servers):
            self._servers[vpc_id] = self._begin(vpc_id)

    def close(self) -> None:
        """Serve none."""
        for vpc_id in list(self._servers):
            self._end(vpc_id)

    def _begin(self, vpc_id: str) -> list[socketserver.BaseServer]:
        resolver = dns.Resolver(
            self._names,
            lambda address: self._metadata.private_address_of(vpc_id, address),
            self._upstreams,
        )
        tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
        listen = self._substrate.listen
        servers: list[socketserver.BaseServer] = [
            _MetadataServer(listen(vpc_id, imds.ADDRESS, imds.PORT, kind=tcp), vpc_id, self._metadata),
            _NamesOverTcp(listen(vpc_id, dns.ADDRESS, dns.PORT, kind=tcp), resolver),
            _NamesOverUdp(listen(vpc_id, dns.ADDRESS, dns.PORT, kind=udp), resolver),
        ]
        for server in servers:
            name = f"{type(server).__name__}-{vpc_id}"
            threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 5.0}, name=name, daemon=True
            ).start()
        return servers

    def _end(self, vpc_id: str) -> None:
        for server in self._servers.pop(vpc_id):
            # Closing the socket is enough for a peer; shutdown() would wait for the next poll.
            threading.Thread(target=_shut, args=(server,), daemon=True).start()


def _shut(server: socketserver.BaseServer) -> None:
    server.shutdown()
    server.server_close()


class _OnSocket(socketserver.ThreadingMixIn):
    """A server on a socket that is bound already, in a namespace this process is not in."""

    daemon_threads = True


class _MetadataServer(_OnSocket, socketserver.TCPServer):
    def __init__(self, listener: socket.socket, vpc_id: str, metadata: Metadata) -> None:
        super().__init__(("", 0), _MetadataHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.vpc_id = vpc_id
        self.metadata = metadata

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong; the machine sees a closed connection."""
        log.exception("metadata request from %s in %s", client_address, self.vpc_id)


class _MetadataHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "EC2ws"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """Answer a GET."""
        self._reply()

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._reply()

    def do_PUT(self) -> None:
        """Answer a PUT; the body, if any, means nothing."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._reply()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Log quietly."""
        log.debug(format, *args)

    def _reply(self) -> None:
        server = self.server
        if not isinstance(server, _MetadataServer):
            raise TypeError(server)
        headers = {name.lower(): value for name, value in self.headers.items()}
        question = imds.Question(self.command, self.path, headers)
        reply, hop_limit = server.metadata.ask(server.vpc_id, self.client_address[0], question)
        if self.command == "PUT":
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hop_limit)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)


class _NamesOverUdp(_OnSocket, socketserver.UDPServer):
    def __init__(self, listener: socket.socket, resolver: dns.Resolver) -> None:
        super().__init__(("", 0), _UdpHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.resolver = resolver


class _UdpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Answer one datagram."""
        message, channel = self.request
        if reply := self.server.resolver.answer(message):  # type: ignore[attr-defined]
            channel.sendto(reply, self.client_address)


class _NamesOverTcp(_OnSocket, socketserver.TCPServer):
    def __init__(self, listener: socket.socket, resolver: dns.Resolver) -> None:
        super().__init__(("", 0), _TcpHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.resolver = resolver


class _TcpHandler(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self) -> None:
        """Answer the messages of a connection, each after its length."""
        while len(prefix := self.rfile.read(2)) == 2:  # noqa: PLR2004 - DNS over TCP: two octets of length
            message = self.rfile.read(struct.unpack("!H", prefix)[0])
            reply = self.server.resolver.answer(message)  # type: ignore[attr-defined]
            self.wfile.write(struct.pack("!H", len(reply)) + reply)
