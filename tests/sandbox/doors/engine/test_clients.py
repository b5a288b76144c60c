# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients of the database, through a tunnel over real machines."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import URL, text

from orchestrator.domain.tunnel import TunnelState
from orchestrator.ports.doors import TunnelOptions, Tunnels
from tests.sandbox.doors.engine.chain import DATABASE, DATABASE_PORT, Chain, ChainRoutes, until
from tests.sandbox.doors.engine.conftest import APPS
from tests.sandbox.doors.engine.targets import MYSQL_PASSWORD, MYSQL_USER, connect, mysql_config, run_client

pytestmark = pytest.mark.sandbox

ROWS = 2000
SLEEPERS = 5


@pytest.fixture(name="direct")
def fixture_direct(chain: Chain) -> Iterator[tuple[str, int]]:
    """Return the database's address without a tunnel; two tables are there."""
    address = chain.public(DATABASE, DATABASE_PORT)
    chance = random.Random(7)  # noqa: S311 - not a secret
    rows = [(number, chance.randbytes(chance.randrange(2000))) for number in range(ROWS)]
    with connect(address, autocommit=True) as made, made.cursor() as cursor:
        for name in ("players", "levels"):
            cursor.execute(f"CREATE OR REPLACE TABLE {name} (id INT PRIMARY KEY, body BLOB)")
            cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s)", rows)  # noqa: S608 - two fixed names
    yield address


def test_the_mysql_client_and_a_dump_see_what_is_there(
    tunnels: Tunnels, database: ChainRoutes, options: TunnelOptions, direct: tuple[str, int], tmp_path: Path
) -> None:
    arguments = ("--hex-blob", "--single-transaction", "--skip-dump-date", "demo", "players", "levels")
    with tunnels.open(database, options) as tunnel:
        config = mysql_config(tmp_path, tunnel.address)
        asked = run_client(
            "mysql", config, "--batch", "--skip-column-names", stdin="SELECT COUNT(*) FROM demo.levels;"
        )
        assert (asked.returncode, asked.stdout) == (0, f"{ROWS}\n")
        dumped = run_client("mariadb-dump", config, *arguments)
    assert (dumped.returncode, dumped.stderr) == (0, "")
    expected = run_client("mariadb-dump", mysql_config(tmp_path, direct), *arguments).stdout
    assert without_host(dumped.stdout) == without_host(expected)
    assert len(expected) > 4_000_000


def test_a_pool_that_asks_before_it_hands_out_survives_a_killed_hop(
    tunnels: Tunnels, chain: Chain, database: ChainRoutes, options: TunnelOptions
) -> None:
    with tunnels.open(database, options) as tunnel:
        host, port = tunnel.address
        url = URL.create("mysql+pymysql", MYSQL_USER, MYSQL_PASSWORD, host, port, "demo")
        pool = sqlalchemy.create_engine(url, pool_size=SLEEPERS, pool_pre_ping=True)
        try:
            with_all = [pool.connect() for _ in range(SLEEPERS)]
            assert [each.scalar(text("SELECT 1")) for each in with_all] == [1] * SLEEPERS
            for each in with_all:
                each.close()
            chain.kill_sshd(APPS[0])
            until(tunnel.status, lambda status: status.reconnects > 0 and status.state is TunnelState.READY)
            for _ in range(SLEEPERS):
                with pool.connect() as made:
                    assert made.scalar(text("SELECT @@port")) == DATABASE_PORT
        finally:
            pool.dispose()


def without_host(dump: str) -> str:
    """Return a dump without the line that tells which address it was asked at."""
    return "\n".join(line for line in dump.splitlines() if not line.startswith("-- Host:"))
