# SPDX-License-Identifier: Apache-2.0
"""A database's client in a machine's place in the VPC: this host's programs, with the VPC's resolver."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Reads how to connect from stdin and runs statements; the last one's rows, or the first error, go to stdout.
_PROGRAM = """
import json, sys
import pymysql
asked = json.load(sys.stdin)
statements = asked.pop("statements")
try:
    connection = pymysql.connect(autocommit=True, connect_timeout=5, read_timeout=15, **asked)
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        print(json.dumps({"rows": cursor.fetchall()}, default=str))
except pymysql.MySQLError as error:
    print(json.dumps({"error": error.args[0]}))
"""
_RESOLVER = "nameserver 169.254.169.253\noptions timeout:2 attempts:1\n"


@dataclass(frozen=True, slots=True)
class DatabaseClient:
    """Connects from one machine's network, verifying the server's name and certificate."""

    namespace: str
    directory: Path
    authority: Path

    def ask(self, host: str, *statements: str, user: str, password: str, **options: Any) -> Any:
        """Return the last statement's rows, or the number of the error."""
        options = {
            "ssl_ca": str(self.authority),
            "ssl_verify_cert": True,
            "ssl_verify_identity": True,
            **options,
        }
        asked = {"host": host, "user": user, "password": password, "statements": statements, **options}
        answer = json.loads(self.run([sys.executable, "-c", _PROGRAM], stdin=json.dumps(asked)))
        return [tuple(row) for row in answer["rows"]] if "rows" in answer else answer["error"]

    def run(self, argv: list[str], *, stdin: str = "") -> str:
        """Run a program and return what it says."""
        resolver = self.directory / "resolv.conf"
        resolver.write_text(_RESOLVER, "utf-8")
        script = f'mount --bind {resolver} /etc/resolv.conf; exec "$@"'
        entry = ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount"]
        entry += ["--propagation", "private", "sh", "-ec", script, "sh"]
        done = subprocess.run(
            [*entry, *argv], input=stdin, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
