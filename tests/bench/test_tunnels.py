# SPDX-License-Identifier: Apache-2.0
"""Engines of tunnels side by side: the same machines, the same clients, one after the other in each round."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sandbox import names, preflight
from sandbox.machines.host import HostSubstrate
from tests.bench import tunnel_measures as measure
from tests.bench.report import Report, Row
from tests.bench.tunnel_engines import APP, BASTION, Engine, Open, Ours, engines
from tests.sandbox.doors.engine.chain import Chain
from tests.sandbox.doors.engine.targets import serve_database, serve_streams

pytestmark = pytest.mark.bench

STOCK, OURS = "ssh -J -L", "asyncssh (ours)"
CPU_MIB = 512


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured at a delay: less where everything takes longer."""

    round_trip_ms: int
    rounds: int
    stream_mib: int
    queries: int
    connections: int


PLANS = (Plan(0, 3, 512, 300, 40), Plan(20, 2, 128, 50, 15))
SLOW_SHARE = 4  # sshtunnel carries so many times less
CLIENTS, LASTING_S, STREAM_COUNT = 16, 2.0, 50


@dataclass(frozen=True, slots=True)
class Kind:
    """Something measured: its name, unit, and what ours may be of the stock engine's, at each delay."""

    name: str
    unit: str
    digits: int = 1
    at_most: tuple[float | None, float | None] = (None, None)
    at_least: tuple[float | None, float | None] = (None, None)

    def verdict(self, ratio: float, place: int) -> str:
        """Return the target and whether it is met; empty where there is none."""
        if (limit := self.at_most[place]) is not None:
            return f"<= {limit:g}: {'ok' if ratio <= limit else 'missed'}"
        if (limit := self.at_least[place]) is not None:
            return f">= {limit:g}: {'ok' if ratio >= limit else 'missed'}"
        return ""


KINDS = (
    Kind("until the first SELECT 1", "ms", 0, at_most=(0.35, None)),
    Kind("SELECT 1, p50", "ms", 2, at_most=(1.2, None)),
    Kind("SELECT 1, p99", "ms", 2),
    Kind("one stream down", "MB/s", 0, at_least=(1.7, 1.5)),
    Kind("one stream up", "MB/s", 0),
    Kind("50 streams down", "MB/s", 0, at_least=(1.3, None)),
    Kind("new connection, p50", "ms", 1, at_most=(0.15, None)),
    Kind("small queries, 16 clients", "/s", 0, at_least=(0.5, None)),
    Kind("client's processor time for 512 MiB", "s", 2),
)
Results = defaultdict[tuple[str, str], list[float]]


@pytest.fixture(name="chain", scope="module")
def fixture_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Return a bastion, a machine behind it, and the targets."""
    if lacking := preflight.missing():
        pytest.skip("; ".join(str(each) for each in lacking))
    substrate = HostSubstrate(names.of_checkout(tmp_path_factory.mktemp("checkout")))
    made = Chain(substrate, tmp_path_factory.mktemp("chain"))
    try:
        made.make()
        serve_streams(made)
        serve_database(made)
        made.boot(BASTION, APP)
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.round_trip_ms}ms")
def test_tunnels(report: Report, chain: Chain, plan: Plan) -> None:
    results: Results = defaultdict(list)
    competitors = engines()
    for number in range(plan.rounds):
        # Each round begins with another one, so that no engine always follows the same.
        for engine in (*competitors[number:], *competitors[:number]):
            with engine.prepared(chain, plan.round_trip_ms / 2):
                for kind, value in measured(engine, plan):
                    results[engine.name, kind].append(value)
    place = PLANS.index(plan)
    order = [each.name for each in competitors]
    rows = [row_of(kind, results, order, place) for kind in KINDS]
    report.add(f"tunnels-{plan.round_trip_ms}", rows)


def first_way(engine: Engine) -> tuple[float, Open]:
    """Open a way; return the milliseconds until the database's first answer, and the way to everything."""
    if isinstance(engine, Ours):
        taken = measure.seconds(lambda: measure.first_answer(engine.open_first()))
        return 1000 * taken, engine.open()
    opened: list[Open] = []

    def ask() -> None:
        opened.append(engine.open())
        measure.first_answer(opened[0].database)

    return 1000 * measure.seconds(ask), opened[0]


def measured(engine: Engine, plan: Plan) -> Iterator[tuple[str, float]]:
    """Measure everything once; yield names and values."""
    mib = plan.stream_mib // (SLOW_SHARE if engine.name == "sshtunnel" else 1)
    taken, way = first_way(engine)
    yield KINDS[0].name, taken
    asked = measure.queries_ms(way.database, plan.queries)
    yield KINDS[1].name, measure.percentile(asked, 50)
    yield KINDS[2].name, measure.percentile(asked, 99)
    before = way.cpu_s()
    yield KINDS[3].name, measure.down_mb_s(way.streams, mib)
    used = way.cpu_s() - before
    yield KINDS[4].name, measure.up_mb_s(way.streams, mib)
    yield KINDS[5].name, measure.down_mb_s(way.streams, mib, streams=STREAM_COUNT)
    yield KINDS[6].name, statistics.median(measure.connections_ms(way.database, plan.connections))
    yield KINDS[7].name, measure.small_queries_per_s(way.database, CLIENTS, LASTING_S)
    yield KINDS[8].name, used * CPU_MIB / mib


def row_of(kind: Kind, results: Results, order: list[str], place: int) -> Row:
    """Tell the ratio first, then what each engine did."""
    medians = {name: statistics.median(results[name, kind.name]) for name in order}
    pairs = zip(results[OURS, kind.name], results[STOCK, kind.name], strict=True)
    ratio = statistics.median(ours / stock for ours, stock in pairs)
    each = "; ".join(f"{name} {medians[name]:.{kind.digits}f}" for name in order)
    return Row(
        f"{kind.name}: ours to `{STOCK}`", f"{ratio:.2f}", f"{kind.unit}: {each}", kind.verdict(ratio, place)
    )
