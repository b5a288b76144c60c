# SPDX-License-Identifier: Apache-2.0
"""Get pages from an address, whatever name they are asked for by."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable

from orchestrator.ports import WebAnswer

_TIMEOUT_S = 5.0
_PORTS = {False: 80, True: 443}
_KNOCK_TIMEOUT_S = 1.0


class HttpWeb:
    """HTTP over sockets of this machine. `authority` gives the PEM of who may vouch for hosts."""

    def __init__(self, authority: Callable[[], str]) -> None:
        self._authority = authority
        self._context: ssl.SSLContext | None = None

    def get(self, address: str, host: str, path: str, *, is_encrypted: bool) -> WebAnswer:
        """GET a path of `host` from `address`; over TLS the certificate has to be for `host`."""
        connection = http.client.HTTPConnection(host, _PORTS[is_encrypted], timeout=_TIMEOUT_S)
        try:
            connection.sock = self._connect(address, host, is_encrypted=is_encrypted)
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            image, location = answer.getheader("X-Slipway-Image"), answer.getheader("Location")
            return WebAnswer(answer.status, image or "", location or "")
        except (OSError, http.client.HTTPException) as error:
            return WebAnswer(0, problem=f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def is_open(self, address: str, port: int) -> bool:
        """Tell whether a TCP connection can be opened."""
        try:
            socket.create_connection((address, port), timeout=_KNOCK_TIMEOUT_S).close()
        except OSError:
            return False
        return True

    def _connect(self, address: str, host: str, *, is_encrypted: bool) -> socket.socket:
        plain = socket.create_connection((address, _PORTS[is_encrypted]), timeout=_TIMEOUT_S)
        if not is_encrypted:
            return plain
        try:
            if self._context is None:
                self._context = ssl.create_default_context(cadata=self._authority())
            return self._context.wrap_socket(plain, server_hostname=host)
        except OSError:
            plain.close()
            raise
