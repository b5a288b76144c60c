# SPDX-License-Identifier: Apache-2.0
"""A load counts every request that fails, and no other, against a server that fails in known ways."""

from __future__ import annotations

import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.errors import RemoteError
from orchestrator.ports import LoadReport, LoadRequest
from orchestrator.tools.load import TlsLoad
from orchestrator.tools.process import Processes
from sandbox.balancing.authority import Authority

HOST = "page.example.com"
ENOUGH = 40
OK = b"HTTP/1.1 200 OK\r\nX-Slipway-Image: api-1\r\nContent-Length: 3\r\n\r\nyes"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n"
ANSWERS = {
    b"/ok": OK,
    b"/once": OK,
    b"/chunked": CHUNKED,
    b"/busy": b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    b"/refused": b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"/cut": OK[:-1],
    b"/nothing": b"",
}
ENDED_AFTER = (b"/once", b"/cut", b"/nothing", b"/refused")


class Handler(socketserver.BaseRequestHandler):
    """Answers by the path, on one connection as long as the path's kind lets it."""

    def handle(self) -> None:
        with suppress(OSError):
            channel = self.server.context.wrap_socket(self.request, server_side=True)  # type: ignore[attr-defined]
            with channel, channel.makefile("rb") as lines:
                self.server.connections += 1  # type: ignore[attr-defined]
                while path := self._path(lines):
                    channel.sendall(ANSWERS[path])
                    if path in ENDED_AFTER:
                        return

    def _path(self, lines: Iterator[bytes]) -> bytes:
        first = next(lines, b"")
        for line in lines:
            if line == b"\r\n":
                return first.split(b" ")[1]
        return b""


class Server(socketserver.ThreadingTCPServer):
    """A server with a certificate of the tests' authority."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.authority = Authority.new()
        issued = self.authority.issue(HOST)
        file = folder / "server.pem"
        file.write_text(issued.certificate + issued.key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(file)
        self.connections = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def load(server: Server, authority: Authority | None = None) -> TlsLoad:
    def pem() -> str:
        return (authority or server.authority).pem

    return TlsLoad(lambda: Processes("load-test"), python=Path(sys.executable), authority=pem)


def asking(path: str, port: int, host: str = HOST, limit_s: float = 60.0) -> LoadRequest:
    return LoadRequest(("127.0.0.1",), host, path, 400.0, limit_s, port=port)


def some(server: Server, request: LoadRequest, authority: Authority | None = None) -> LoadReport:
    """Return the last report of a load that was stopped when there was enough."""
    with load(server, authority).on(request) as running:
        while running.report().requests < ENOUGH:
            time.sleep(0.01)
    return running.report()


@pytest.mark.parametrize("path", ["/ok", "/chunked", "/once"])
def test_whole_answers_are_no_failures_whatever_becomes_of_the_connection(server: Server, path: str) -> None:
    report = some(server, asking(path, server.port))
    assert (report.failed, report.problems, report.examples) == (0, {}, ())
    assert report.statuses == {"200": report.requests}
    assert sum(report.images.values()) == report.requests >= ENOUGH


def test_every_second_request_opens_a_connection_and_the_others_share_some(server: Server) -> None:
    report = some(server, asking("/ok", server.port))
    assert report.requests // 2 < server.connections < report.requests


@pytest.mark.parametrize(("path", "status"), [("/busy", "503"), ("/refused", "403")])
def test_other_statuses_are_failures(server: Server, path: str, status: str) -> None:
    report = some(server, asking(path, server.port))
    assert report.failed == report.requests == report.statuses[status]
    assert (report.images, report.problems) == ({}, {})
    assert f"status {status}" in report.examples[0]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/cut", "NoAnswer: the connection ended within an answer"),
        ("/nothing", "NoAnswer: the connection ended before an answer"),
    ],
)
def test_an_answer_that_does_not_come_whole_is_a_failure(server: Server, path: str, problem: str) -> None:
    report = some(server, asking(path, server.port))
    assert (report.failed, report.problems) == (report.requests, {problem: report.requests})
    assert len(report.examples) <= 20 < report.requests


def test_a_certificate_for_another_host_is_a_failure(server: Server) -> None:
    report = some(server, asking("/ok", server.port, host="other.example.com"))
    [problem] = report.problems
    assert report.failed == report.requests
    assert "SSLCertVerificationError" in problem
    assert "other.example.com" in problem


def test_a_certificate_of_somebody_else_is_a_failure(server: Server) -> None:
    report = some(server, asking("/ok", server.port), Authority.new())
    [problem] = report.problems
    assert report.failed == report.requests
    assert "certificate verify failed" in problem


def test_a_refused_connection_is_a_failure(server: Server) -> None:
    server.server_close()
    report = some(server, asking("/ok", server.port))
    [problem] = report.problems
    assert report.failed == report.requests
    assert problem.startswith("ConnectionRefusedError")


def test_it_ends_by_itself_at_its_limit(server: Server) -> None:
    with load(server).on(asking("/ok", server.port, limit_s=0.2)) as running:
        for thread in threading.enumerate():
            if thread.name == "load":
                thread.join()
        assert 0 < running.report().requests <= 0.2 * 400 + 1


def test_a_program_that_fails_is_told(server: Server, tmp_path: Path) -> None:
    no_authority = TlsLoad(
        lambda: Processes("load-test"), python=Path(sys.executable), authority=lambda: "no certificate"
    )
    with pytest.raises(RemoteError) as caught, no_authority.on(asking("/ok", server.port)):
        pass
    assert caught.value.exit_code == 6
