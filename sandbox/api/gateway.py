# SPDX-License-Identifier: Apache-2.0
"""The region's front: a WSGI application that lets through what is supported, and answers as AWS."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any

from flask import Flask
from moto.core.exceptions import ServiceException
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.http import http_date
from werkzeug.wrappers import Response

from sandbox.api import allowlist
from sandbox.api.calls import ApiCall, Environ, buffer_body, recognise
from sandbox.api.errors import AwsError, HttpAnswer, render, unsupported
from sandbox.api.iam_conditions import current_environ
from sandbox.own_calls import is_own

log = logging.getLogger(__name__)
request_log = logging.getLogger("sandbox.requests")

StartResponse = Callable[..., Any]
OperatorPage = Callable[[str, Environ], HttpAnswer]
OWN_PATHS = "/_slipway/"
CONTROL_PATHS = "/_sandbox/"
BAD_REQUEST = 400
FORBIDDEN = 403
# Operations that may take minutes, or call other services, and lock what they touch themselves.
_LOCK_THEMSELVES = frozenset({("events", "PutEvents"), ("lambda", "Invoke"), ("sqs", "ReceiveMessage")})
# Operations that answer before the machines and networks follow.
_ANSWERS_AT_ONCE = frozenset({"RunInstances", "StartInstances", "StopInstances", "TerminateInstances"})


class MotoApplications(DomainDispatcherApplication):
    """moto's applications by signing name only: none of its control pages, nothing guessed from a path."""

    def get_application(self, environ: Environ) -> Flask:
        """Return the application of the service that the request was signed for."""
        host = self.infer_service_region_host(environ, environ["PATH_INFO"]) or "s3.us-east-1.amazonaws.com"
        with self.lock:
            backend = self.get_backend_for_host(host)
            if backend not in self.app_instances:
                self.app_instances[backend] = self.create_app(backend)
            app: Flask = self.app_instances[backend]
            return app


class Locks:
    """One lock per service: moto checks and then changes, and S3's conditional writes must not race."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._making = threading.Lock()

    def of(self, service: str) -> threading.RLock:
        """Return the lock of a service."""
        with self._making:
            return self._locks[service]

    @contextmanager
    def all(self) -> Iterator[None]:
        """Hold every lock, in one order, so that state can be written down."""
        with self._making:
            held = [self._locks[name] for name in sorted(self._locks)]
        for lock in held:
            lock.acquire()
        try:
            yield
        finally:
            for lock in reversed(held):
                lock.release()


def _is_operator(environ: Environ) -> bool:
    """Whether the caller is on this host. Machines reach the same API, and shall find only AWS there."""
    return str(environ.get("REMOTE_ADDR", "")).startswith("127.")


class Gateway:
    """The WSGI application."""

    def __init__(  # noqa: PLR0913 - what it connects
        self,
        *,
        region: str,
        locks: Locks,
        own_pages: OperatorPage,
        authorise: Callable[[ApiCall], None],
        settle_network: Callable[[], None],
        changed: Callable[[], None],
        now: Callable[[], datetime],
        controls: OperatorPage,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._region = region
        self._authorise = authorise
        self._locks = locks
        self._own_pages = own_pages
        self._settle_network = settle_network
        self._changed = changed
        self._now = now
        self._controls = controls
        self._answered = answered
        self._moto = MotoApplications(create_backend_app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one HTTP request."""
        path = environ.get("PATH_INFO", "")
        if path.startswith(OWN_PATHS) and _is_operator(environ):
            answer = self._own_pages(path.removeprefix(OWN_PATHS), environ)
        elif path.startswith(CONTROL_PATHS) and _is_operator(environ):
            answer = self._controls(path.removeprefix(CONTROL_PATHS), environ)
        else:
            answer = self._answer(environ)
            if not is_own(environ.get("HTTP_AUTHORIZATION", "")):
                self._answered()
        response = Response(answer.body, answer.status, answer.headers)
        response.headers.setdefault("Date", http_date(self._now()))
        return response(environ, start_response)

    def _answer(self, environ: Environ) -> HttpAnswer:
        began = time.monotonic()
        buffer_body(environ)
        call = recognise(environ, default_region=self._region)
        answer = self._guarded(call)
        request_log.info(
            "%s %s %d %.0fms",
            call.target.service,
            call.operation or "-",
            answer.status,
            (time.monotonic() - began) * 1000,
        )
        return answer

    def _guarded(self, call: ApiCall) -> HttpAnswer:
        try:
            return self._carry_out(call)
        except ServiceException as error:
            return render(call, error)
        except Exception:  # A bug of moto's or ours: the caller gets an AWS error, the log the traceback.
            incident = uuid.uuid4().hex[:12]
            log.exception("incident %s in %s.%s", incident, call.target.service, call.operation)
            message = f"An internal error has occurred; the region's log has it as incident {incident}."
            return render(call, AwsError("InternalError", message))

    def _carry_out(self, call: ApiCall) -> HttpAnswer:
        if call.target.service == "ec2" and call.target.region != self._region:
            raise unsupported(
                f"ec2.{call.operation} in {call.target.region}: this region is {self._region}; it"
            )
        allowlist.check(call)
        self._authorise(call)
        with self._turn(call):
            token = current_environ.set(call.environ)
            try:
                answer = self._ask_moto(call)
            finally:
                current_environ.reset(token)
        if call.is_mutating and answer.status < BAD_REQUEST:
            if call.target.service == "ec2" and call.operation not in _ANSWERS_AT_ONCE:
                self._settle_network()
            self._changed()
        return answer

    def _turn(self, call: ApiCall) -> AbstractContextManager[Any]:
        if (call.target.service, call.operation) in _LOCK_THEMSELVES:
            return nullcontext()
        return self._locks.of(call.target.service)

    def _ask_moto(self, call: ApiCall) -> HttpAnswer:
        response = Response.from_app(self._moto, call.environ, buffered=True)
        is_page = response.mimetype == "text/html" and response.get_data().startswith(b"<")
        if is_page and response.status_code >= BAD_REQUEST:
            raise AwsError("InternalError", f"moto has no page for {call.target.service}.{call.operation}")
        if response.status_code == FORBIDDEN and not response.get_data() and call.method != "HEAD":
            raise AwsError("AccessDenied", "Access Denied")
        return HttpAnswer(response.status_code, dict(response.headers), response.get_data())
