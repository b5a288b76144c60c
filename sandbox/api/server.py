# SPDX-License-Identifier: Apache-2.0
"""Serve a WSGI application on any number of sockets, a thread per connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer


class QuietHandler(MotoRequestHandler):
    """moto's request handler, without a line on stderr per request: the gateway keeps its own log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def send_response(self, code: int, message: str | None = None) -> None:
        """Begin an answer without the host's time: the gateway dates it."""
        self.send_response_only(code, message)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Say nothing."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's signature
        """Say nothing."""


class ApiServer:
    """Serves the gateway until closed."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._servers: list[ThreadedWSGIServer] = []

    def serve(self, listener: socket.socket) -> int:
        """Serve on a listening socket, in the background; return its port."""
        host, port = listener.getsockname()[:2]
        server = _Server(host, port, self._application, handler=QuietHandler, fd=listener.fileno())
        server.daemon_threads = True
        listener.close()
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, name=f"api-{port}", daemon=True).start()
        return int(port)

    def close(self) -> None:
        """Stop serving."""
        for server in self._servers:
            ending = threading.Thread(target=server.shutdown)
            ending.start()
            # The loop looks at the request to end when it wakes up: wake it.
            with contextlib.suppress(OSError):
                socket.create_connection(server.socket.getsockname()[:2], timeout=1).close()
            ending.join()
            server.server_close()


class _Server(ThreadedWSGIServer):
    request_queue_size = 128
