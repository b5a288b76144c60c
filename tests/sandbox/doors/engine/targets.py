# SPDX-License-Identifier: Apache-2.0
"""What tunnels lead to: a database, and a server of raw streams; and what clients of the latter do."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pymysql

from tests.sandbox.doors.engine.chain import (
    DATABASE,
    DATABASE_PORT,
    STREAMS,
    STREAMS_PORT,
    Chain,
)

MYSQL_USER, MYSQL_PASSWORD = "operator", "a-password-of-this-test"
_ACCOUNTS = f"""
CREATE DATABASE demo;
CREATE USER {MYSQL_USER}@'%' IDENTIFIED BY '{MYSQL_PASSWORD}';
GRANT ALL ON demo.* TO {MYSQL_USER}@'%';
GRANT RELOAD, PROCESS ON *.* TO {MYSQL_USER}@'%';
"""


def serve_streams(chain: Chain) -> None:
    """Start the server of raw streams, and wait until it listens."""
    text = (Path(__file__).parent / "stream_server.py").read_text("utf-8")
    chain.serve(STREAMS, ["/usr/bin/python3", "-c", text, str(STREAMS_PORT)], port=STREAMS_PORT)


def serve_database(chain: Chain) -> None:
    """Make a MariaDB with one account, start it, and wait until it listens."""
    data = chain.substrate.runtime_dir() / "database"
    made = [
        "mariadb-install-db",
        "--no-defaults",
        f"--datadir={data}",
        "--auth-root-authentication-method=normal",
    ]
    chain.run("install", "-d", "-o", "haproxy", "-g", "haproxy", "-m", "0700", str(data))
    chain.run("setpriv", "--reuid=haproxy", "--regid=haproxy", "--clear-groups", *made, "--skip-test-db")
    accounts = data / "accounts.sql"
    accounts.write_text(_ACCOUNTS)
    accounts.chmod(0o644)
    argv = [
        "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={data}/socket",
        f"--pid-file={data}/pid", f"--port={DATABASE_PORT}", "--bind-address=0.0.0.0",
        f"--init-file={accounts}",
        "--max-connections=1000", "--skip-name-resolve", "--innodb-buffer-pool-size=64M",
        "--max-connect-errors=1000000", "--back-log=1000", "--innodb-flush-log-at-trx-commit=2",
    ]  # fmt: skip
    chain.serve(DATABASE, argv, port=DATABASE_PORT)


def connect(address: tuple[str, int], **options: object) -> pymysql.Connection[pymysql.cursors.Cursor]:
    """Return a connection to the database, by its tunnel or without."""
    host, port = address
    return pymysql.connect(
        host=host, port=port, user=MYSQL_USER, password=MYSQL_PASSWORD, database="demo", connect_timeout=60,
        **options,
    )  # fmt: skip


def say(address: tuple[str, int], line: str, *, timeout_s: float = 60.0) -> socket.socket:
    """Connect to the server of streams, and give it its order."""
    made = socket.create_connection(address, timeout=timeout_s)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.sendall(f"{line}\n".encode())
    return made


def is_served(address: tuple[str, int], *, timeout_s: float = 60.0) -> bool:
    """Tell whether a new connection gets its answer."""
    try:
        with say(address, "hello", timeout_s=timeout_s) as made:
            return made.recv(6) == b"hello\n"
    except OSError:
        return False


def mysql_config(folder: Path, address: tuple[str, int]) -> Path:
    """Write an option file for the unmodified clients: no password in anybody's list of processes."""
    host, port = address
    path = folder / f"client-{port}.cnf"
    path.touch(mode=0o600)
    lines = ("[client]", f"host={host}", f"port={port}", "protocol=tcp", f"user={MYSQL_USER}")
    path.write_text("\n".join((*lines, f"password={MYSQL_PASSWORD}", "")))
    return path


def run_client(
    program: str, config: Path, *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a client of MariaDB's to its end."""
    argv = [program, f"--defaults-file={config}", *arguments]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=120)
