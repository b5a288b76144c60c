# SPDX-License-Identifier: Apache-2.0
"""Tell database servers whether a token of IAM lets a user in."""

from __future__ import annotations

import logging
import shutil
import socketserver
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.sts.models import sts_backends

from sandbox.api.access.guard import Guard
from sandbox.databases.files import USER, Files
from sandbox.databases.servers import TOKENS
from sandbox.databases.signatures import Refused, Token, parse
from sandbox.databases.wanted import Cluster

log = logging.getLogger(__name__)

# The operator's credentials, who may do everything; what a role's session may is in its policies.
OPERATOR = ("local", "local")
_LONGEST_BYTES = 65536 + 1024
_TIMEOUT_S = 10.0


class Judge:
    """Says whether a token is good, of one region."""

    def __init__(self, account_id: str, region: str, *, now: Callable[[], datetime]) -> None:
        self._account_id = account_id
        self._region = region
        self._now = now
        self._guard = Guard(account_id, region)

    def check(self, cluster: Cluster, user: str, text: str) -> None:
        """Raise Refused unless the token lets this user into the cluster."""
        if not cluster.has_tokens:
            raise Refused(f"{cluster.identifier} takes no tokens of IAM")
        token = parse(text)
        if token.user != user:
            raise Refused(f"it is for {token.user}")
        if token.endpoint not in {f"{name}:{cluster.port}" for name in cluster.endpoints}:
            raise Refused(f"it is for {token.endpoint}")
        if token.region != self._region:
            raise Refused(f"it is for {token.region}")
        token.check_time(self._now())
        self._check_signer(token, cluster)

    def _check_signer(self, token: Token, cluster: Cluster) -> None:
        if token.access_key == OPERATOR[0]:
            token.check_signature(OPERATOR[1])
            return
        sessions: Any = sts_backends[self._account_id]["aws"]
        session = sessions.get_assumed_role_from_access_key(token.access_key)
        if session is None or session.session_token != token.session_token:
            raise Refused(f"nobody has the access key {token.access_key}")
        token.check_signature(session.secret_access_key)
        if session.expiration.replace(tzinfo=UTC) < self._now():
            raise Refused(f"the session {session.arn} has expired")
        user = f"arn:aws:rds-db:{self._region}:{self._account_id}:dbuser:{cluster.resource_id}/{token.user}"
        if denial := self._guard.session_denial(session, "rds-db:connect", user):
            raise Refused(f"{session.arn} is not authorized to connect {denial.reason}")


class Counters:
    """The sockets at which the servers of each cluster ask."""

    def __init__(self, judge: Judge, files: Files) -> None:
        self._judge = judge
        self._files = files
        self._clusters: dict[str, Cluster] = {}
        self._counters: dict[str, _Counter] = {}

    def follow(self, clusters: Iterable[Cluster]) -> None:
        """Answer for exactly these clusters, each as it is now."""
        self._clusters = {cluster.resource_id: cluster for cluster in clusters}
        for resource_id in set(self._counters) - set(self._clusters):
            self._counters.pop(resource_id).end()
        for resource_id in set(self._clusters) - set(self._counters):
            path = self._files.running(resource_id) / TOKENS
            self._counters[resource_id] = _Counter(path, self._answer_for(resource_id))

    def close(self) -> None:
        """Answer nobody."""
        self.follow(())

    def _answer_for(self, resource_id: str) -> Callable[[str, str], bool]:
        def is_good(user: str, text: str) -> bool:
            cluster = self._clusters.get(resource_id)
            if cluster is None:
                return False
            try:
                self._judge.check(cluster, user, text)
            except Refused as refusal:
                log.info("%s: a token of %r is refused: %s", cluster.identifier, user, refusal)
                return False
            return True

        return is_good


class _Counter:
    """One socket, served by a thread of its own."""

    def __init__(self, path: Path, is_good: Callable[[str, str], bool]) -> None:
        path.unlink(missing_ok=True)
        self._server = _Server(str(path), _handler(is_good))
        shutil.chown(path, group=USER)
        path.chmod(0o660)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def _handler(is_good: Callable[[str, str], bool]) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        timeout = _TIMEOUT_S

        def handle(self) -> None:
            """Read a user's name, a line's end, and a token; answer y or n."""
            try:
                asked = self.rfile.read(_LONGEST_BYTES).decode("utf-8", errors="replace")
                user, _, text = asked.partition("\n")
                self.wfile.write(b"y" if is_good(user, text) else b"n")
            except OSError as error:
                log.info("a database server asked and did not wait: %s", error)

    return Handler
