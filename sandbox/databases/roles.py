# SPDX-License-Identifier: Apache-2.0
"""Make one server of a cluster its writer, and let the others follow it."""

from __future__ import annotations

import logging
from pathlib import Path

import pymysql

from sandbox.databases.accounts import Copy, Session, native_hash
from sandbox.databases.files import Files
from sandbox.databases.parameters import applied
from sandbox.databases.servers import WRITER, Server
from sandbox.databases.wanted import Cluster

log = logging.getLogger(__name__)


class Roles:
    """Gives servers their roles: which is whose is the cluster's affair, and may change."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def settle(self, cluster: Cluster, running: list[Server], password: str | None) -> list[Server]:
        """Give the cluster's servers their roles, and return those that have theirs."""
        if cluster.writer is None:
            return []
        as_reader = (cluster.writer.resource_id, applied(cluster.parameters))
        hashed = native_hash(password) if password else None
        as_writer = (*as_reader, cluster.master, hashed)
        writers = [server for server in running if server.plan.member.is_writer]
        readers = [server for server in running if not server.plan.member.is_writer]
        changed = [server for server in readers if server.settled != as_reader]
        positions = [position for server in changed for position in _stop_writing(server)]
        for server in writers:
            if server.settled != as_writer and self._lead(server, hashed, positions):
                server.settled = as_writer
        is_led = any(server.settled == as_writer for server in writers)
        for server in readers if is_led else ():
            is_complete = _follow(server, is_new=server in changed)
            if is_complete and server in changed:
                server.settled = as_reader
        return [server for server in running if server.settled in (as_reader, as_writer)]

    def _lead(self, server: Server, hashed: str | None, positions: list[str]) -> bool:
        try:
            with Session(server.socket) as session:
                session.write_for(server.plan.cluster, hashed, after=positions)
                _apply(session, server)
        except pymysql.MySQLError as error:
            _wait_for(server, error)
            return False
        self._show(server)
        return True

    def _show(self, writer: Server) -> None:
        """Let the cluster's servers find their writer."""
        link = self._files.running(writer.plan.cluster.resource_id) / WRITER
        if not link.is_symlink() or Path(link.readlink()) != writer.socket:
            part = link.with_suffix(".part")
            part.unlink(missing_ok=True)
            part.symlink_to(writer.socket)
            part.replace(link)


def _stop_writing(server: Server) -> list[str]:
    """Return the position of a server's last write, if it runs."""
    try:
        with Session(server.socket) as session:
            return [session.stop_writing()]
    except pymysql.MySQLError as error:
        _wait_for(server, error)
        return []


def _follow(server: Server, *, is_new: bool) -> bool:
    """See to it that a server follows the writer of now; return whether it has all of it."""
    try:
        with Session(server.socket) as session:
            if is_new and server.settled is not None:
                session.connect_anew()
                server.settled = None
            if is_new:
                _apply(session, server)
            copy = session.read_from_writer()
    except pymysql.MySQLError as error:
        _wait_for(server, error)
        return False
    if copy is Copy.BROKEN:
        log.warning("%s can't follow its writer and is made anew", server.plan.member.identifier)
        server.begin_anew()
    return copy is Copy.COMPLETE


def _apply(session: Session, server: Server) -> None:
    """Change parameters that are others than those the server has."""
    wanted = applied(server.plan.cluster.parameters)
    session.apply({name: value for name, value in wanted.items() if server.parameters.get(name) != value})
    server.parameters = wanted


def _wait_for(server: Server, error: pymysql.MySQLError) -> None:
    """Note what is asked again at the next turn: most often a server that is about to start."""
    log.debug("%s: %s", server.plan.member.identifier, error)
