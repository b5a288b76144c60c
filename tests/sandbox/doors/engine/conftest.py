# SPDX-License-Identifier: Apache-2.0
"""One chain of machines for all tests of engines, made whole again before each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.ports.doors import TunnelOptions, Tunnels
from orchestrator.ssh.tunnel import AsyncTunnels
from orchestrator.ssh.tunnel.sshtunnel_engine import SshtunnelTunnels
from sandbox import names
from sandbox.machines.host import HostSubstrate
from tests.sandbox.doors.engine.chain import (
    DATABASE,
    DATABASE_PORT,
    STREAMS,
    STREAMS_PORT,
    Chain,
    ChainRoutes,
)
from tests.sandbox.doors.engine.targets import serve_database, serve_streams

BASTION, APPS = "i-bastion", ("i-app-1", "i-app-2")


@pytest.fixture(name="machines", scope="package")
def fixture_machines(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Return machines that stay for all of these tests, and the target."""
    substrate = HostSubstrate(names.of_checkout(tmp_path_factory.mktemp("checkout")))
    made = Chain(substrate, tmp_path_factory.mktemp("chain"))
    try:
        made.make()
        serve_streams(made)
        serve_database(made)
        yield made
    finally:
        made.close()


@pytest.fixture(name="chain")
def fixture_chain(machines: Chain) -> Chain:
    """Return the chain with one bastion and two machines behind it, whatever a test before did to it."""
    wanted = {BASTION, *APPS}
    for name in set(machines.hops) - wanted:
        machines.end(name)
    machines.boot(*sorted(wanted - set(machines.hops)))
    for name in sorted(wanted):
        machines.wait_for_sshd(name)
    return machines


@pytest.fixture(name="streams")
def fixture_streams(chain: Chain) -> ChainRoutes:
    """Return the ways to the server of streams."""
    return ChainRoutes(chain, chain.private(STREAMS, STREAMS_PORT))


@pytest.fixture(name="database")
def fixture_database(chain: Chain) -> ChainRoutes:
    """Return the ways to the database."""
    return ChainRoutes(chain, chain.private(DATABASE, DATABASE_PORT))


@pytest.fixture(name="options")
def fixture_options() -> TunnelOptions:
    """Return options whose patience fits a machine that boots while others run tests."""
    return TunnelOptions(patience_s=60.0)


@pytest.fixture(name="tunnels", params=["asyncssh", "sshtunnel"])
def fixture_tunnels(request: pytest.FixtureRequest) -> Tunnels:
    """Return an engine."""
    return AsyncTunnels() if request.param == "asyncssh" else SshtunnelTunnels()


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    """Return a folder of the test's own."""
    return tmp_path
