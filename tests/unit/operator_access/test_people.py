# SPDX-License-Identifier: Apache-2.0
"""Who may come in is learned again and again; what can't be read stays as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from operator_access.people import People
from operator_access.rules import Database, Known, files

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIi"
ENDPOINTS = '{"reader": "r.db", "writer": "w.db", "port": 3306}'
AWAY = EndpointConnectionError(endpoint_url="https://ssm")
FRESH = Known("sandbox", "api")


@dataclass
class FakeSource:
    """Answers what it is told to, or fails."""

    keys: dict[str, str] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()
    key: str = "ssh-rsa AAAA"
    endpoints: str | None = ENDPOINTS
    failing: dict[str, Exception] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]

    def people(self) -> tuple[dict[str, str], frozenset[str]]:
        self._called("people")
        return self.keys, self.blocked

    def authority(self) -> str:
        self._called("authority")
        return self.key

    def database(self) -> str | None:
        self._called("database")
        return self.endpoints


@pytest.fixture(name="source")
def fake_source() -> FakeSource:
    return FakeSource(keys={"ada": ED25519}, blocked=frozenset({"eve"}))


def directories(tmp_path: Path) -> tuple[Path, Path]:
    run, state = tmp_path / "run", tmp_path / "state"
    run.mkdir(exist_ok=True)
    state.mkdir(exist_ok=True)
    return run, state


def people_at(tmp_path: Path, source: FakeSource, fresh: Known = FRESH) -> People:
    run, state = directories(tmp_path)
    return People(source, fresh, run=run, state=state)


def written(tmp_path: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (tmp_path / "run").iterdir()}


def test_what_is_learned_is_written_where_sshd_reads_it(tmp_path: Path, source: FakeSource) -> None:
    people_at(tmp_path, source).refresh(everything=True)
    known = Known(
        "sandbox", "api", "ssh-rsa AAAA", {"ada": ED25519}, frozenset({"eve"}), Database("r.db", "w.db", 3306)
    )
    assert written(tmp_path) == files(known)


def test_the_authority_and_the_database_are_not_asked_for_each_time(
    tmp_path: Path, source: FakeSource
) -> None:
    people_at(tmp_path, source).refresh(everything=False)
    assert source.calls == ["people"]


@pytest.mark.parametrize(
    "error", [AWAY, ClientError({"Error": {"Code": "ThrottlingException"}}, "GetParametersByPath")]
)
def test_what_can_t_be_read_stays_and_is_told_once(
    tmp_path: Path, source: FakeSource, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    people = people_at(tmp_path, source)
    people.refresh(everything=True)
    before = written(tmp_path)
    source.failing = dict.fromkeys(("people", "authority", "database"), error)
    caplog.set_level("INFO")
    for _ in range(3):
        people.refresh(everything=True)
    assert written(tmp_path) == before
    assert [record.message for record in caplog.records] == [
        f"{what}: {error}; what was known before stays"
        for what in ("the authority", "the database", "who may come in")
    ]
    caplog.clear()
    source.failing = {}
    people.refresh(everything=True)
    assert [record.message for record in caplog.records] == [
        f"{what}: well again" for what in ("the authority", "the database", "who may come in")
    ]


def test_blocking_does_not_depend_on_the_authority(tmp_path: Path, source: FakeSource) -> None:
    source.failing = {"authority": AWAY, "database": AWAY}
    people_at(tmp_path, source).refresh(everything=True)
    assert written(tmp_path)["blocked"] == "eve\n"


def test_a_restart_without_a_network_knows_what_was_known(tmp_path: Path, source: FakeSource) -> None:
    people_at(tmp_path, source).refresh(everything=True)
    before = written(tmp_path)
    for path in (tmp_path / "run").iterdir():
        path.unlink()
    source.failing = dict.fromkeys(("people", "authority", "database"), AWAY)
    people = people_at(tmp_path, source)
    people.write()
    people.refresh(everything=True)
    assert written(tmp_path) == before


@pytest.mark.parametrize("fresh", [Known("sandbox", "worker"), Known("production", "api")])
def test_another_machine_s_memory_counts_for_nothing(
    tmp_path: Path, source: FakeSource, fresh: Known
) -> None:
    people_at(tmp_path, source).refresh(everything=True)
    assert people_at(tmp_path, source, fresh).known == fresh


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"blocked": 1, "database": null}'])
def test_a_broken_memory_counts_for_nothing(tmp_path: Path, source: FakeSource, text: str) -> None:
    _, state = directories(tmp_path)
    (state / "known.json").write_text(text)
    assert people_at(tmp_path, source).known == FRESH


def test_a_full_disk_keeps_nobody_in(tmp_path: Path, source: FakeSource) -> None:
    people = people_at(tmp_path, source)
    (tmp_path / "state").rmdir()
    people.refresh(everything=True)
    assert written(tmp_path)["blocked"] == "eve\n"


def test_names_are_known_by_the_fingerprints_of_keys_that_come_in(tmp_path: Path, source: FakeSource) -> None:
    people = people_at(tmp_path, source)
    people.refresh(everything=False)
    (fingerprint,) = people.names()
    assert people.names() == {fingerprint: "ada"}
    source.blocked = frozenset({"ada"})
    people.refresh(everything=False)
    assert people.names() == {}
