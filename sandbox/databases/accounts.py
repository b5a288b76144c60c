# SPDX-License-Identifier: Apache-2.0
"""Make a running server what its member is in the cluster, from inside, as its root."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import DictCursor

from sandbox.databases.files import USER
from sandbox.databases.wanted import Cluster

log = logging.getLogger(__name__)

# What a master user of Aurora may do, of what MariaDB knows by the same name.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.MasterAccounts.html
_MASTER_PRIVILEGES = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,"
    " CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW,"
    " SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, DELETE HISTORY"
)
_TIMEOUT_S = 10
_CATCH_UP_S = 5
# What a writer answers to a copy that holds what it does not: ER_MASTER_FATAL_ERROR_READING_BINLOG.
_DIVERGED = 1236


class Copy(Enum):
    """How far a reader has come."""

    COMPLETE = auto()
    BEHIND = auto()
    BROKEN = auto()


class Session:
    """A connection of the region's own to one server."""

    def __init__(self, socket: Path) -> None:
        """Connect; raises pymysql.MySQLError while the server is not there."""
        self._connection = pymysql.connect(
            unix_socket=str(socket),
            user="root",
            autocommit=True,
            cursorclass=DictCursor,
            connect_timeout=_TIMEOUT_S,
            read_timeout=_TIMEOUT_S,
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, sql: str, *values: str) -> list[dict[str, Any]]:
        """Run one statement and return its rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def stop_writing(self) -> str:
        """Take no more writes, and return the position of the last one."""
        self.ask("SET GLOBAL read_only = ON")
        return str(self.ask("SELECT @@gtid_binlog_pos AS position")[0]["position"])

    def write_for(self, cluster: Cluster, hashed: str | None, *, after: Iterable[str]) -> None:
        """Take writes once those of earlier writers are here, with the accounts that the cluster has.

        `hashed` is the master's password; None leaves it.
        """
        if self.ask("SHOW SLAVE STATUS"):
            for position in after:
                self.ask("SELECT MASTER_GTID_WAIT(%s, %s)", position, str(_CATCH_UP_S))
            self.ask("STOP SLAVE")
            self.ask("RESET SLAVE ALL")
        self.ask("SET GLOBAL read_only = OFF")
        self.ask(f"CREATE USER IF NOT EXISTS {USER}@localhost IDENTIFIED VIA unix_socket")
        self.ask(f"GRANT REPLICATION SLAVE ON *.* TO {USER}@localhost")
        self._make_master(cluster, hashed)

    def read_from_writer(self) -> Copy:
        """Follow the writer, and say how far that is."""
        status = self.ask("SHOW SLAVE STATUS")
        if not status:
            self.ask(
                "CHANGE MASTER TO MASTER_HOST = 'localhost', MASTER_USER = %s, MASTER_CONNECT_RETRY = 1,"
                " MASTER_USE_GTID = slave_pos, MASTER_DEMOTE_TO_SLAVE = 1",
                USER,
            )
            self.ask("START SLAVE")
            return Copy.BEHIND
        state = status[0]
        if state["Last_SQL_Errno"] or state["Last_IO_Errno"] == _DIVERGED:
            return Copy.BROKEN
        if "No" in (state["Slave_SQL_Running"], state["Slave_IO_Running"]):
            self.ask("START SLAVE")
            return Copy.BEHIND
        is_complete = state["Slave_IO_Running"] == "Yes" and state["Seconds_Behind_Master"] == 0
        return Copy.COMPLETE if is_complete else Copy.BEHIND

    def connect_anew(self) -> None:
        """Let replication find the writer of now, if it runs."""
        if self.ask("SHOW SLAVE STATUS"):
            self.ask("STOP SLAVE")
            self.ask("START SLAVE")

    def apply(self, parameters: Mapping[str, str]) -> None:
        """Change what the running server is configured with, as far as it can."""
        for name, value in parameters.items():
            try:
                self.ask(f"SET GLOBAL {name} = {self._connection.escape(_typed(value))}")
            except pymysql.MySQLError as error:
                log.info("the parameter %s stays until the server starts again: %s", name, error)

    def _make_master(self, cluster: Cluster, hashed: str | None) -> None:
        found = self.ask(
            "SELECT authentication_string FROM mysql.user WHERE User = %s AND Host = '%%'", cluster.master
        )
        if not found:
            if cluster.database:
                self.ask(f"CREATE DATABASE IF NOT EXISTS {_identifier(cluster.database)}")
            first = hashed or native_hash(secrets.token_urlsafe())
            self.ask("CREATE USER %s@'%%' IDENTIFIED BY PASSWORD %s", cluster.master, first)
        elif hashed and found[0]["authentication_string"] != hashed:
            self.ask("ALTER USER %s@'%%' IDENTIFIED BY PASSWORD %s", cluster.master, hashed)
        self.ask(f"GRANT {_MASTER_PRIVILEGES} ON *.* TO %s@'%%' WITH GRANT OPTION", cluster.master)


def native_hash(password: str) -> str:
    """Return what mysql_native_password keeps of a password: statements are logged, so they hold no more."""
    inner = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the protocol's own
    return "*" + hashlib.sha1(inner).hexdigest().upper()  # noqa: S324 - likewise


def _identifier(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _typed(value: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
