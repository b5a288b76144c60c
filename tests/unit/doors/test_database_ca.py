# SPDX-License-Identifier: Apache-2.0
"""The page with the certificates that databases are known by."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestrator.aws.database_ca import DatabaseCa
from orchestrator.errors import AwsError

PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
PAGES = {"/ca.pem": PEM, "/page.html": "<html>log in first</html>"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = PAGES.get(self.path, "")
        self.send_response(200 if text else 404)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture(name="url")
def fixture_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def code_of(url: str) -> str:
    with pytest.raises(AwsError) as caught:
        DatabaseCa(url).certificates()
    return caught.value.code


def test_certificates_are_returned_past_a_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert DatabaseCa(f"{url}/ca.pem").certificates() == PEM


def test_what_is_no_certificate_is_refused(url: str) -> None:
    assert code_of(f"{url}/page.html") == "BadAnswer"


def test_a_page_that_is_not_there_is_told(url: str) -> None:
    assert code_of(f"{url}/none") == "Unreachable"
    assert code_of("http://127.0.0.1:1/ca.pem") == "Unreachable"


def test_files_are_no_pages() -> None:
    assert code_of("file:///etc/passwd") == "BadAddress"
