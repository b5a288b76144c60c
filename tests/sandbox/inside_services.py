# SPDX-License-Identifier: Apache-2.0
"""Just enough metadata service and resolver for a machine to boot without the region's API."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

from sandbox.machines.host import HostSubstrate
from sandbox.network.addresses import METADATA, RESOLVER

_TOKEN = "a-token"


@dataclass
class Subject:
    """What the metadata service tells one machine."""

    instance_id: str
    public_key: str
    user_data: str = ""


@dataclass
class InsideServices:
    """Serves a VPC; every machine is known by the source address of its requests."""

    subjects: dict[str, Subject] = field(default_factory=dict)
    callers: list[str] = field(default_factory=list)
    _closers: list[contextlib.ExitStack] = field(default_factory=list)

    def serve(self, substrate: HostSubstrate, vpc_id: str) -> None:
        """Answer metadata and DNS questions in the VPC until `close`."""
        stack = contextlib.ExitStack()
        http = _Server(substrate.listen(vpc_id, METADATA, 80, kind=socket.SOCK_STREAM), self)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        stack.callback(http.server_close)
        stack.callback(http.shutdown)
        names = substrate.listen(vpc_id, RESOLVER, 53, kind=socket.SOCK_DGRAM)
        stack.callback(names.close)
        # Waking the thread: closing a socket does not end a recvfrom() that waits on it.
        stack.callback(names.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=_refuse_names, args=(names,), daemon=True).start()
        self._closers.append(stack)

    def close(self) -> None:
        """Serve no more."""
        for closer in self._closers:
            with contextlib.suppress(OSError):
                closer.close()

    def answer(self, address: str, path: str) -> str | None:
        """Return the document at a metadata path."""
        subject = self.subjects.get(address)
        if subject is None:
            return None
        _, _, topic = path.lstrip("/").partition("/")
        hostname = f"ip-{address.replace('.', '-')}"
        return {
            "user-data": subject.user_data or None,
            "meta-data/": "hostname\ninstance-id\nlocal-hostname\npublic-keys/",
            "meta-data/hostname": hostname,
            "meta-data/instance-id": subject.instance_id,
            "meta-data/local-hostname": hostname,
            "meta-data/public-keys/": "0=key",
            "meta-data/public-keys/0/openssh-key": subject.public_key,
            "dynamic/instance-identity": "document",
            "dynamic/instance-identity/document": json.dumps({"instanceId": subject.instance_id}),
        }.get(topic)


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, services: InsideServices) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.services = services


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self._reply(200, _TOKEN)

    def do_GET(self) -> None:
        services: InsideServices = self.server.services  # type: ignore[attr-defined]
        address = self.client_address[0]
        services.callers.append(address)
        if self.headers.get("X-aws-ec2-metadata-token") != _TOKEN:
            self._reply(401, "")
            return
        text = services.answer(address, self.path)
        self._reply(404 if text is None else 200, text or "")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _reply(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def _refuse_names(listener: socket.socket) -> None:
    """Answer every question with NXDOMAIN, so that nobody waits for a timeout."""
    while True:
        try:
            question, caller = listener.recvfrom(512)
            if not question:
                return
            listener.sendto(question[:2] + b"\x81\x83\x00\x01" + b"\0" * 6 + question[12:], caller)
        except OSError:
            return
