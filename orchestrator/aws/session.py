# SPDX-License-Identifier: Apache-2.0
"""Clients of AWS: where they are made, what they log and how their errors are told. The home of boto3."""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from orchestrator.aws.errors import Call, translate
from orchestrator.clock import Clock
from orchestrator.errors import AwsError, NotFound

if TYPE_CHECKING:
    from botocore.config import Config

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)
_last_call: ContextVar[Call | None] = ContextVar("last_aws_call", default=None)

# What may hold a secret, or is too long to be of use in a log.
_REDACTED = frozenset(
    {
        "UserData",
        "Body",
        "SecretString",
        "SecretBinary",
        "MasterUserPassword",
        "Password",
        "PublicKeyMaterial",
        "Value",
    }
)
_PLAIN = frozenset({"Filters"})


class CredentialSource(StrEnum):
    """Whose credentials sign the calls."""

    LOCAL = "local"  # a fixed pair that no account knows: the operator's own never reach a local endpoint
    DEFAULT = "default"  # boto3's chain: environment, profile, SSO, role


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where AWS is, and with whose credentials it is asked."""

    region: str
    url: str = ""
    credentials: CredentialSource = CredentialSource.DEFAULT

    @property
    def is_loopback(self) -> bool:
        """Tell whether the endpoint is on this machine."""
        return is_loopback_url(self.url)


def translated(method: Callable[P, T]) -> Callable[P, T]:
    """Turn botocore's errors of a method into AwsError, with the call that failed."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except _library_errors() as exc:
            raise translate(exc, _last_call.get()) from exc

    return call


def translated_with_missing(
    is_missing: Callable[[AwsError], bool],
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return `translated` for a service that has no code of its own for what does not exist.

    Args:
        is_missing: Tells such errors, which become NotFound, from other refusals.
    """

    def decorate(method: Callable[P, T]) -> Callable[P, T]:
        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return translated(method)(*args, **kwargs)
            except AwsError as exc:
                if not is_missing(exc):
                    raise
                cause = exc.cause.removeprefix(f"{exc.code}: ")
                raise NotFound(exc.service, exc.operation, exc.code, cause) from exc

        return call

    return decorate


class AwsSession:
    """Makes clients when they are first asked for. One client a service; clients may be shared by threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._clients: dict[str, Any] = {}
        self._session: Any = None
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """Return the client of a service, as botocore names it."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make_client(service)
            return self._clients[service]

    def credentials_environ(self) -> dict[str, str]:
        """Return the environment of a program that speaks to AWS itself; empty without credentials."""
        frozen = self._frozen_credentials()
        if frozen is None:
            return {}
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        values = (frozen.access_key, frozen.secret_key, frozen.token)
        return {name: value for name, value in zip(names, values, strict=True) if value}

    @translated
    def _frozen_credentials(self) -> Any:
        _last_call.set(Call("credentials", "Load", is_loopback=False))
        with self._lock:
            found = self._own_session().get_credentials()
        return found.get_frozen_credentials() if found else None

    def _own_session(self) -> Any:
        import boto3  # noqa: PLC0415 - most commands end before they need it

        self._session = self._session or boto3.session.Session(**self._credentials())
        return self._session

    def _make_client(self, service: str) -> Any:
        _last_call.set(Call(service, "CreateClient", is_loopback=self.endpoint.is_loopback))
        url = self.endpoint.url or None
        client = self._own_session().client(service, endpoint_url=url, config=self._config())
        client.meta.events.register("provide-client-params.*.*", self._note_call)
        return client

    def _credentials(self) -> dict[str, str]:
        region = {"region_name": self.endpoint.region}
        if self.endpoint.credentials is CredentialSource.LOCAL:
            return region | {"aws_access_key_id": "local", "aws_secret_access_key": "local"}  # noqa: S105
        return region

    def _config(self) -> Config:
        from botocore.config import Config  # noqa: PLC0415 - as boto3

        return Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 3 if self.endpoint.is_loopback else 6},
            # A bucket's name can't be put before an address or `localhost`.
            s3={"addressing_style": "path"} if self.endpoint.url else None,
            # An operator's proxy can't reach what listens on their own machine.
            proxies={} if self.endpoint.is_loopback else None,
            user_agent_extra="slipway",
            max_pool_connections=32,
        )

    def _note_call(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        call = Call(model.service_model.service_name, model.name, is_loopback=self.endpoint.is_loopback)
        _last_call.set(call)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s %s %s", call.service, call.operation, redacted(params))


def retry_while(codes: frozenset[str], call: Callable[[], T], *, clock: Clock, limit: timedelta) -> T:
    """Repeat a call that AWS refuses with one of these codes, until it is taken or the limit has passed.

    Raises:
        AwsError: The last refusal, or at once any other error.
    """
    deadline = clock.monotonic_s() + limit.total_seconds()
    for pause_s in _pauses():
        try:
            return call()
        except AwsError as exc:
            if exc.code not in codes or clock.monotonic_s() >= deadline:
                raise
        clock.sleep(pause_s)
    raise AssertionError("unreachable: the pauses never end")


def redacted(value: Any) -> Any:
    """Return parameters as they may be logged."""
    if isinstance(value, Mapping):
        return {
            name: each if name in _PLAIN else "***" if name in _REDACTED else redacted(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return "***" if isinstance(value, bytes | bytearray) else value


def is_loopback_url(url: str) -> bool:
    """Tell whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _library_errors() -> tuple[type[Exception], ...]:
    """Return the classes to catch; called only once something was raised, so as to import nothing."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    return (ClientError, BotoCoreError)


def _pauses() -> Iterator[float]:
    pause_s = 0.5
    while True:
        yield pause_s
        pause_s = min(pause_s * 1.5, 5.0)
