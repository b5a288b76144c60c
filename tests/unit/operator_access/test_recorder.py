# SPDX-License-Identifier: Apache-2.0
"""Records reach their places, whatever fails meanwhile, and nothing that fails keeps anybody waiting."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from operator_access import recorder as module
from operator_access.machine import Machine
from operator_access.recorder import REFUSALS_A_MINUTE, SILENCE_S, Recorder
from operator_access.sessions import Sessions
from operator_access.spool import MOST_RECORDS, Item

from tests.unit.operator_access.journals import BOOT, KEY, START, attempt, line, login, logout

MACHINE = Machine("sandbox", "api", "api", "i-1", "us-east-1", "123456789012")
OF_MACHINE = {"environment": "sandbox", "fleet": "api", "instance_id": "i-1"}
AWAY = EndpointConnectionError(endpoint_url="https://logs")


@dataclass
class FakeDestination:
    """Keeps what arrives, unless a place is away."""

    away: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)

    def put_events(self, items: list[Item]) -> None:
        if "logs" in self.away:
            raise AWAY
        self.events += [item.record for item in items]

    def put_object(self, item: Item) -> None:
        if "objects" in self.away:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")
        self.objects.append(item.record)


def recorder_at(tmp_path: Path, destination: FakeDestination, *names: str) -> Recorder:
    places = tuple(tmp_path / name for name in names or ("run", "state"))
    for place in places:
        if place.name != "full":
            place.mkdir(exist_ok=True)
    return Recorder(MACHINE, destination, Sessions({}.get, lambda _: False), places=places)


def feed(recorder: Recorder, *lines: Any) -> None:
    for number, each in enumerate(lines):
        recorder.feed(each, f"cursor {number}")


def events(destination: FakeDestination) -> list[str]:
    return [record["event"] for record in destination.events]


def test_sessions_are_told_in_the_log_group_and_those_that_ended_in_the_bucket(tmp_path: Path) -> None:
    destination = FakeDestination()
    recorder = recorder_at(tmp_path, destination)
    feed(recorder, *login(), *logout(at=1.0))
    assert recorder.send()
    assert events(destination) == ["began", "ended"]
    assert all(OF_MACHINE.items() <= record.items() for record in destination.events)
    assert destination.objects == destination.events[1:]
    assert recorder.send()
    assert events(destination) == ["began", "ended"]


@pytest.mark.parametrize("away", [{"logs"}, {"objects"}, {"logs", "objects"}])
def test_what_nobody_takes_waits_and_arrives_once(tmp_path: Path, away: set[str]) -> None:
    destination = FakeDestination(away=away)
    recorder = recorder_at(tmp_path, destination)
    feed(recorder, *login(), *logout(at=1.0))
    assert (recorder.send(), recorder.send()) == (False, False)
    destination.away = set()
    assert recorder.send()
    assert (events(destination), len(destination.objects)) == (["began", "ended"], 1)


def test_trouble_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    destination = FakeDestination(away={"logs"})
    recorder = recorder_at(tmp_path, destination)
    feed(recorder, *login())
    for _ in range(3):
        recorder.send()
    destination.away = set()
    recorder.send()
    assert [record.message for record in caplog.records] == [
        f"records to logs: {AWAY}; they are kept",
        "records to logs: well again",
    ]


def test_a_restart_goes_on_where_the_last_run_stopped(tmp_path: Path) -> None:
    destination = FakeDestination(away={"logs"})
    first = recorder_at(tmp_path, destination)
    feed(first, *login())
    first.save()
    second = recorder_at(tmp_path, destination)
    assert (second.cursor, second.open_sessions()) == ("cursor 3", first.open_sessions())
    feed(second, *logout(at=1.0))
    destination.away = set()
    second.send()
    assert events(destination) == ["began", "ended"]
    assert destination.objects[0]["seconds"] == 1.0


def test_a_full_disk_keeps_nothing_from_being_told(tmp_path: Path) -> None:
    destination = FakeDestination()
    recorder = recorder_at(tmp_path, destination, "run", "full")
    feed(recorder, *login(), *logout(at=1.0))
    recorder.save()
    assert recorder.send()
    assert (events(destination), len(destination.objects)) == (["began", "ended"], 1)
    assert recorder_at(tmp_path, destination, "run", "full").cursor == "cursor 6"


def test_the_newest_memory_counts(tmp_path: Path) -> None:
    destination = FakeDestination()
    feed(old := recorder_at(tmp_path, destination, "state"), *login())
    old.save()
    feed(new := recorder_at(tmp_path, destination, "run"), *login(), *logout())
    new.save()
    assert recorder_at(tmp_path, destination, "run", "state").cursor == "cursor 6"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_broken_memory_is_none(tmp_path: Path, text: str) -> None:
    destination = FakeDestination()
    recorder_at(tmp_path, destination)
    (tmp_path / "run/records.json").write_text(text)
    assert recorder_at(tmp_path, destination).cursor is None


def test_when_too_much_waits_the_oldest_goes_and_is_counted(tmp_path: Path) -> None:
    destination = FakeDestination(away={"logs", "objects"})
    recorder = recorder_at(tmp_path, destination)
    for pid in range(1, MOST_RECORDS + 4):
        feed(recorder, *login(pid=pid))
    recorder.send()
    destination.away = set()
    assert [recorder.send() for _ in range(20)] == [True] * 20
    # Telling it takes a place as well.
    missing = [record["records"] for record in destination.events if record["event"] == "missing"]
    assert missing == [3, 1, 1]
    assert events(destination).count("began") == MOST_RECORDS + 3 - sum(missing)


def test_who_knocks_all_day_fills_no_log_group(tmp_path: Path) -> None:
    destination = FakeDestination()
    recorder = recorder_at(tmp_path, destination)
    failed = f"Failed publickey for admin from 198.18.0.7 port 43062 ssh2: ED25519 {KEY}"
    for pid in range(1, REFUSALS_A_MINUTE + 6):
        feed(recorder, *attempt(failed, pid=pid))
    feed(recorder, *attempt(failed, at=60.0))
    recorder.send()
    assert events(destination) == ["refused"] * (REFUSALS_A_MINUTE + 1) + ["missing"]
    assert destination.events[-1] == {"event": "missing", "records": 0, "refusals": 5, **OF_MACHINE}
    assert destination.objects == []


class TestSweep:
    """Sessions whose process is gone end, also when the journal says nothing."""

    def test_a_killed_session_ends_after_a_while(self, tmp_path: Path) -> None:
        destination = FakeDestination()
        recorder = recorder_at(tmp_path, destination)
        feed(recorder, *login(pid=2**22 + 1))
        now = START / 1e6 + 7
        recorder.sweep(BOOT, now=lambda: now)
        recorder.sweep(BOOT, now=lambda: now + SILENCE_S - 1)
        assert len(recorder.open_sessions()) == 1
        recorder.sweep(BOOT, now=lambda: now + SILENCE_S)
        recorder.send()
        assert events(destination) == ["began", "ended"]
        assert destination.events[1] | {"seconds": 7.0, "sent_bytes": None} == destination.events[1]

    def test_one_that_lives_stays(self, tmp_path: Path) -> None:
        recorder = recorder_at(tmp_path, FakeDestination())
        feed(recorder, *login(pid=os.getpid()))
        for second in range(0, 100, 10):
            recorder.sweep(BOOT, now=lambda second=second: START / 1e6 + second)
        assert [session.pid for session in recorder.open_sessions()] == [os.getpid()]

    def test_one_from_before_the_boot_ends_when_it_was_last_seen(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        destination = FakeDestination()
        monkeypatch.setattr(module.time, "time", lambda: START / 1e6 + 30)
        feed(before := recorder_at(tmp_path, destination), *login(pid=os.getpid()))
        before.save()
        after = recorder_at(tmp_path, destination)
        for seconds in (100, 100 + SILENCE_S):
            after.sweep("another", now=lambda seconds=seconds: START / 1e6 + seconds)
        after.send()
        assert (events(destination), destination.events[1]["seconds"]) == (["began", "ended"], 30.0)


def test_a_line_that_means_nothing_moves_the_cursor(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path, FakeDestination())
    recorder.feed(None, "cursor 1")
    recorder.feed(line("Server listening on :: port 22."), "cursor 2")
    assert recorder.cursor == "cursor 2"
