# SPDX-License-Identifier: Apache-2.0
"""The address this operator reaches AWS from."""

from __future__ import annotations

import ipaddress
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, build_opener

from orchestrator.aws.session import is_loopback_url
from orchestrator.clock import Clock
from orchestrator.errors import AwsError

_TIMEOUT_S = 5
_PAUSE_S = 1
_LONGEST_ADDRESS = 64


class OperatorAddress:
    """A page that answers with the address it is asked from, such as AWS's checkip."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock

    def cidr(self) -> str:
        """Return the address as a network of one, `a.b.c.d/32`.

        Raises:
            AwsError: The page does not answer (code Unreachable), or with something else (code BadAnswer).
        """
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise self._failure("BadAddress", "neither http nor https")
        try:
            text = self._fetch()
        except (OSError, HTTPException):
            self._clock.sleep(_PAUSE_S)
            text = self._fetch_again()
        return f"{self._parse(text)}/32"

    def _fetch_again(self) -> str:
        try:
            return self._fetch()
        except (OSError, HTTPException) as exc:
            raise self._failure("Unreachable", str(exc)) from exc

    def _fetch(self) -> str:
        try:
            with _opener(self._url).open(self._url, timeout=_TIMEOUT_S) as answer:
                return bytes(answer.read(_LONGEST_ADDRESS + 1)).decode("ascii", "replace").strip()
        except HTTPError as exc:
            exc.close()  # it is the answer too, with its connection
            raise

    def _parse(self, text: str) -> ipaddress.IPv4Address:
        try:
            address = ipaddress.IPv4Address(text)
        except ValueError as exc:
            raise self._failure("BadAnswer", f"{text[:_LONGEST_ADDRESS]!r} is no IPv4 address") from exc
        if address.is_unspecified or address.is_multicast or address.is_loopback:
            raise self._failure("BadAnswer", f"nobody comes from {address}")
        return address

    def _failure(self, code: str, message: str) -> AwsError:
        hint = "./inv sandbox.up" if is_loopback_url(self._url) else f"curl {self._url}"
        return AwsError("operator address", self._url, code, message, next_command=hint)


def _opener(url: str) -> OpenerDirector:
    """Return what fetches the URL, past an operator's proxy if it is on this machine."""
    return build_opener(ProxyHandler({})) if is_loopback_url(url) else build_opener()
