# SPDX-License-Identifier: Apache-2.0
"""Between a bake and its region: counts the calls, and ends the bake at one of them as a power cut would."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

READS = ("Describe", "Get", "List", "Head", "PAGE")
# Of a connection, not of a message.
HOP = frozenset({"connection", "transfer-encoding", "expect", "keep-alive"})
OBJECTS = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}


def is_read(call: str) -> bool:
    """Tell whether a call changes nothing."""
    return call.startswith(READS)


class Relay:
    """Hands every call on to the region. Call n of an operation can be made the last of a bake."""

    def __init__(self, port: int) -> None:
        self.calls: list[str] = []
        self._region_port = port
        self._lock = threading.Lock()
        self._last: tuple[str, int] | None = None
        self._kill: Callable[[], None] = lambda: None
        self.has_killed = threading.Event()
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

            def handle_call(self) -> None:
                relay.hand_on(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_call  # noqa: N815

            def handle(self) -> None:
                # Whoever was killed doesn't close connections in order.
                with contextlib.suppress(ConnectionError):
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    @contextmanager
    def running(self) -> Iterator[Relay]:
        """Relay until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def forget(self) -> None:
        """Count from nothing again."""
        with self._lock:
            self.calls.clear()
            self._last = None
        self.has_killed.clear()

    def kill_after(self, call: str, occurrence: int, kill: Callable[[], None]) -> None:
        """Kill once the region has carried out that call; nobody gets to see its answer."""
        self._last, self._kill = (call, occurrence), kill

    def hand_on(self, handler: BaseHTTPRequestHandler) -> None:
        """Serve one request."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        name = _name(handler, body)
        with self._lock:
            self.calls.append(name)
            is_last = self._last == (name, self.calls.count(name))
        status, reason, headers, answer = self._ask(handler, body)
        if is_last:
            self._kill()
            self.has_killed.set()
        if self.has_killed.is_set():
            handler.close_connection = True
            return
        handler.send_response_only(status, reason)
        for header, value in headers:
            if header.lower() not in HOP and header.lower() != "content-length":
                handler.send_header(header, value)
        if handler.command != "HEAD" and status != http.client.NO_CONTENT:
            handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def _ask(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, str, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._region_port, timeout=120)
        try:
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for header, value in handler.headers.items():
                if header.lower() not in HOP:
                    connection.putheader(header, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, answer.reason, answer.getheaders(), answer.read()
        finally:
            connection.close()


def _name(handler: BaseHTTPRequestHandler, body: bytes) -> str:
    """Return the operation; of the bucket with the first folder, as `PutObject images`."""
    path = urlsplit(handler.path).path
    if path.startswith("/_slipway/"):
        return f"PAGE {path.rpartition('/')[2]}"
    if handler.command == "POST":
        return parse_qs(body.decode()).get("Action", ["?"])[0]
    parts = path.strip("/").split("/")
    if len(parts) == 1:
        return "ListObjectsV2"
    return f"{OBJECTS[handler.command]} {parts[1]}"


def kill_all_of(pid: int) -> None:
    """Kill a command and everything it has started, at one moment, so that nothing can clean up."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # it must not see its programs die
    while started := _started_by(pid):
        for each in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _started_by(pid: int) -> list[int]:
    """Return the living programs that a command has started, and what they have started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        marks = [each for each in environ if each.startswith(b"SLIPWAY_CHILD=")]
        if marks and f"/{pid}/".encode() in marks[0]:
            found.append(int(folder.name))
    return found
