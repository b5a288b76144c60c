# SPDX-License-Identifier: Apache-2.0
"""The certificates that RDS's databases are known by."""

from __future__ import annotations

from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from orchestrator.aws.session import is_loopback_url
from orchestrator.errors import AwsError

_TIMEOUT_S = 10
# All regions together have 170 KB: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
_LONGEST = 4 * 2**20
_BEGIN = "-----BEGIN CERTIFICATE-----"


class DatabaseCa:
    """A page with certificates in PEM, as AWS's trust store."""

    def __init__(self, url: str) -> None:
        self._url = url

    def certificates(self) -> str:
        """Return the certificates.

        Raises:
            AwsError: The page does not answer (code Unreachable), or with something else (code BadAnswer).
        """
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise self._failure("BadAddress", "neither http nor https")
        # An operator's proxy can't reach what listens on their own machine.
        opener = build_opener(ProxyHandler({})) if is_loopback_url(self._url) else build_opener()
        try:
            with opener.open(self._url, timeout=_TIMEOUT_S) as answer:
                text = bytes(answer.read(_LONGEST)).decode("ascii", "replace")
        except HTTPError as exc:
            exc.close()  # it is the answer too, with its connection
            raise self._failure("Unreachable", str(exc)) from exc
        except (OSError, HTTPException) as exc:
            raise self._failure("Unreachable", str(exc)) from exc
        if _BEGIN not in text:
            raise self._failure("BadAnswer", "there is no certificate in it")
        return text

    def _failure(self, code: str, message: str) -> AwsError:
        hint = "./inv sandbox.up" if is_loopback_url(self._url) else f"curl {self._url}"
        return AwsError("database certificates", self._url, code, message, next_command=hint)
