# SPDX-License-Identifier: Apache-2.0
"""What an operator types to say which tunnel is meant, and for what. Quick to import."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.config.models import Environment
    from orchestrator.workflows.db_tunnel import Request

ENGINES = ("asyncssh", "sshtunnel")
VERB = "db-tunnel"


@dataclass(frozen=True, slots=True)
class TunnelWords:
    """What was typed."""

    environment: str
    endpoint: str = "reader"
    via: str = ""
    local_port: str = ""
    is_client: bool = False
    sql: str = ""
    has_dsn: bool = False
    user: str = ""
    is_iam: bool = False
    ttl: str = ""
    is_read_only: bool = False
    engine: str = ENGINES[0]
    is_confirmed: bool = False
    as_json: bool = False

    def request(self, environment: Environment) -> Request:
        """Return what is asked for.

        Raises:
            ConfigError: The words contradict each other or say nothing that there is; all that is wrong.
        """
        from orchestrator.domain import database_door as door  # noqa: PLC0415
        from orchestrator.workflows.db_tunnel import Request, Use  # noqa: PLC0415

        problems = [f"{VERB}: {each}" for each in self._problems()]
        hours = environment.access.tunnel_hours
        for parse in (
            lambda: door.parse_endpoint(self.endpoint),
            lambda: door.parse_ttl(self.ttl, default_hours=hours),
            lambda: door.parse_port(self.local_port),
        ):
            try:
                parse()
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(VERB, tuple(problems), next_command=f"invoke --help {VERB}")
        return Request(
            endpoint=door.parse_endpoint(self.endpoint),
            ttl=door.parse_ttl(self.ttl, default_hours=hours),
            use=Use.CLIENT if self.is_client else Use.EXEC if self.sql else Use.STAY,
            via=self.via,
            local_port=door.parse_port(self.local_port),
            sql=self.sql,
            user=self.user,
            is_iam=self.is_iam,
            is_read_only=self.is_read_only,
            is_confirmed=self.is_confirmed,
            is_captured=self.as_json,
        )

    def _problems(self) -> Iterator[str]:
        if self.is_client + bool(self.sql) + self.has_dsn > 1:
            yield "--client, --exec and --print-dsn exclude each other"
        if self.is_client and self.as_json:
            yield "--client is for people, --json for programs; they exclude each other"
        if self.is_iam and not self.user:
            yield "--iam needs a --user, for whom the token is made"
        if self.user and self.sql and not self.is_iam:
            yield "--exec asks for no password: a --user needs --iam, or leave it out for the master user"
        if self.engine not in ENGINES:
            yield f"engine {self.engine!r}: must be one of {', '.join(ENGINES)}"
