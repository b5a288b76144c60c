# SPDX-License-Identifier: Apache-2.0
"""What a tunnel's command prints: results on stdout, one line each, and the rest by the view on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.domain.database_door import dsn
from orchestrator.domain.tunnel_story import summary, through
from orchestrator.workflows.db_tunnel import Outcome, Ready, Use

if TYPE_CHECKING:
    from orchestrator.commands.tunnel_words import TunnelWords
    from orchestrator.config.models import Environment
    from orchestrator.console.tunnel import LiveTunnel, PlainTunnel
    from orchestrator.domain.tunnel_story import TunnelLook


@dataclass(frozen=True, slots=True)
class TunnelScreen:
    """The view, and what goes to stdout. `put` writes a line there, at once."""

    environment: Environment
    words: TunnelWords
    view: PlainTunnel | LiveTunnel
    put: Callable[[str], None]

    def ready(self, ready: Ready) -> None:
        """Tell that it is open, and how to connect."""
        if ready.request.use is Use.CLIENT:
            self.view.say(ready_line(ready))
        if ready.request.use is not Use.STAY:
            return
        for line in self._ready_lines(ready):
            self.put(line)

    def _ready_lines(self, ready: Ready) -> Iterator[str]:
        if self.words.as_json:
            yield json.dumps(self._document(ready), sort_keys=True)
            return
        if self.words.has_dsn:
            yield dsn(ready.plan.place, ready.address, ready.request.user)
            yield f"password: {self._password(ready)}"
            return
        host, port = ready.address
        yield ready_line(ready)
        yield (
            f"any client: host {host}, port {port}, database {ready.plan.place.name}, TLS by the authority "
            f"of {self.environment.database_ca_url}; the certificate's name is the cluster's, not this host's"
        )
        yield f"{'password' if ready.request.user else 'user and password'}: {self._password(ready)}"

    def _password(self, ready: Ready) -> str:
        place, request = ready.plan.place, ready.request
        if not request.user:
            return f"secret {place.secret_arn}"
        if not request.is_iam:
            return f"that of {request.user}"
        return (
            f"aws rds generate-db-auth-token --hostname {place.host} --port {place.port} "
            f"--username {request.user} --region {self.environment.region}, valid for logins of 15 minutes"
        )

    def _document(self, ready: Ready) -> dict[str, object]:
        place = ready.plan.place
        return {
            "event": "ready",
            "session": ready.session,
            "environment": ready.environment,
            "endpoint": place.endpoint.value,
            "database": place.name,
            "host": ready.address[0],
            "port": ready.address[1],
            "user": ready.request.user,
            "secret": "" if ready.request.user else place.secret_arn,
            "dsn": dsn(place, ready.address, ready.request.user),
            "ca_url": self.environment.database_ca_url,
            "fleet": ready.plan.fleet,
            "hops": [hop.name for hop in ready.status.hops],
            "ends_at": ready.ends_at.isoformat(timespec="seconds"),
        }

    def hint(self, text: str) -> None:
        """Show a line about how to connect; programs read the document."""
        if not self.words.as_json and not self.words.has_dsn:
            self.put(f"mysql client: {text}")

    def say(self, text: str) -> None:
        """Show a line that stays."""
        self.view.say(text)

    def show(self, look: TunnelLook) -> None:
        """Show how it is now."""
        self.view.show(look)

    def closed(self, outcome: Outcome) -> None:
        """Tell how it ended."""
        if self.words.sql:
            if self.words.as_json:
                self.put(json.dumps({"exit_code": outcome.exit_code, "output": outcome.output}))
            return
        if self.words.as_json:
            self.put(json.dumps(_end(outcome), sort_keys=True))
            return
        told = summary(outcome.status, outcome.seconds)
        self.view.say(f"its time is up; {told}" if outcome.is_over_time else told)


def ready_line(ready: Ready) -> str:
    """Return where it listens and where it leads."""
    host, port = ready.address
    place = ready.plan.place
    return (
        f"ready: {host}:{port} -> {place.endpoint.value} of {ready.environment} (database {place.name}) "
        f"through {through(ready.status)} of {ready.plan.fleet}, until {ready.ends_at:%H:%M} UTC"
    )


def _end(outcome: Outcome) -> dict[str, object]:
    status = outcome.status
    return {
        "event": "closed",
        "exit_code": outcome.exit_code,
        "is_over_time": outcome.is_over_time,
        "seconds": round(outcome.seconds, 3),
        "connections": status.served_connections,
        "failed_connections": status.failed_connections,
        "sent_bytes": status.sent_bytes,
        "received_bytes": status.received_bytes,
        "reconnects": status.reconnects,
    }
