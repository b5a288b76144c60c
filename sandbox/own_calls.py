# SPDX-License-Identifier: Apache-2.0
"""Call the region's own API from inside: the services of a region use each other as AWS's do, by their API.

A call goes through the gateway, so that what is supported, the machines and the networks follow as for any
caller; no socket is opened. Never call while holding a service's lock: the gateway takes the lock of the
service that is called, and two services that call each other so would wait for ever.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from werkzeug.test import EnvironBuilder, run_wsgi_app

from sandbox.handover import KEY, LISTS, MOST_IN_WORDS, Handover

# Calls are answered before they are sent. moto would take the first part of a name for a bucket.
_ENDPOINT = "http://127.0.0.1"
_OWN_NAME = "local-region"


def is_own(authorization: str) -> bool:
    """Whether a request with this header is the region's own, which may do what only AWS's services may."""
    return f"Credential={_OWN_NAME}/" in authorization


class OwnCalls:
    """boto3 clients of the region itself, one a service; clients may be shared by threads."""

    def __init__(self, application: Callable[..., Any], region: str) -> None:
        self._application = application
        self._session = boto3.session.Session(_OWN_NAME, _OWN_NAME, region_name=region)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        # The list of a request between its parameters and its answer, which one thread sees to.
        self._local = threading.local()

    def client(self, service: str) -> Any:
        """Return the client of a service, as botocore names it."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def _make(self, service: str) -> Any:
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        client = self._session.client(service, endpoint_url=_ENDPOINT, config=config)
        events = client.meta.events
        events.register("before-send.*.*", self._answer)
        for operation, member in LISTS.items():
            events.register(f"before-parameter-build.*.{operation}", self._shortener(member))
        events.register("after-call.*.*", _complete)
        return client

    def _shortener(self, member: str) -> Callable[..., None]:
        def shorten(params: dict[str, Any], **_: Any) -> None:
            """Keep a long list for the answer's side, and one of it for the words."""
            self._local.given = None
            if len(params.get(member, ())) > MOST_IN_WORDS:
                self._local.given = params[member]
                params[member] = params[member][:1]

        return shorten

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        handover = Handover(getattr(self._local, "given", None))
        self._local.given = None
        url = urlsplit(request.url)
        builder = EnvironBuilder(
            path=url.path or "/",
            query_string=url.query,
            base_url=_ENDPOINT,
            method=request.method,
            headers=list(_text(request.headers).items()),
            data=_body(request.body),
            environ_base={"REMOTE_ADDR": "127.0.0.1", KEY: handover},
        )
        body, status, headers = run_wsgi_app(self._application, builder.get_environ(), buffered=True)
        response = AWSResponse(request.url, int(status.split()[0]), dict(headers), _Raw(b"".join(body)))
        response.told = handover.told
        return response


def _complete(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    """Give an answer what was told beside its words."""
    parsed.update(getattr(http_response, "told", {}))


class _Raw(io.BytesIO):
    """A body as botocore reads it from urllib3."""

    def stream(self, amount: int = 65536, **_: Any) -> Iterator[bytes]:
        """Give the body in pieces."""
        while piece := self.read(amount):
            yield piece


def _text(headers: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value.decode() if isinstance(value, bytes) else str(value) for name, value in headers.items()
    }


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())
