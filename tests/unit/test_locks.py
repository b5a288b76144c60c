# SPDX-License-Identifier: Apache-2.0
"""Leases in a bucket: races, crashes, clocks that differ and answers that get lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from orchestrator.errors import AwsError, Refused
from orchestrator.host_process import HostProcess, is_gone, started
from orchestrator.locks import ObjectLocks, thread_ticker
from tests.fakes import START, FakeClock, FakeObjects

LEASE, SKEW = timedelta(seconds=90), timedelta(seconds=30)
KEY = "locks/a.json"
ELSEWHERE = HostProcess("ana", "laptop", 7, "another-boot pid:[1] 5")


@dataclass
class HandTicker:
    """Renews when the test says so."""

    interval_s: float = 0.0
    actions: list[Callable[[], None]] = field(default_factory=list)

    @contextmanager
    def __call__(self, interval_s: float, action: Callable[[], None]) -> Iterator[None]:
        self.interval_s = interval_s
        self.actions.append(action)
        yield

    def tick(self) -> None:
        self.actions[-1]()


@dataclass
class Bench:
    """Operators with clocks of their own at one bucket."""

    clock: FakeClock = field(default_factory=FakeClock)
    objects: FakeObjects = field(default_factory=FakeObjects)
    ticker: HandTicker = field(default_factory=HandTicker)

    def operator(self, process: HostProcess = ELSEWHERE, clock: FakeClock | None = None) -> ObjectLocks:
        return ObjectLocks(
            self.objects,
            clock or self.clock,
            process=process,
            lease=LEASE,
            skew=SKEW,
            ticker=self.ticker,
        )

    def crash_holding(self, process: HostProcess = ELSEWHERE) -> None:
        """Leave a lock behind as a killed process does."""
        with self.operator(process).hold("a", "dead"):
            body = self.objects.objects[KEY]
        self.objects.objects[KEY] = body

    def change(self, **fields: object) -> None:
        """Write over the lock as another run would."""
        self.objects.objects[KEY] = json.dumps(json.loads(self.objects.objects[KEY]) | fields).encode()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_refusal_names_the_owner_since_when_and_what_to_do(bench: Bench) -> None:
    with (
        bench.operator().hold("a", "run-1"),
        pytest.raises(Refused) as caught,
        bench.operator().hold("a", "r"),
    ):
        pass
    assert str(caught.value) == (
        "error: lock a: held by ana on laptop (process 7, run run-1) since 2026-01-01 12:00:00 UTC.\n"
        "state: nothing changed.\n"
        "next: wait for that run to end and repeat the command; "
        "if it was killed, the lock frees itself at 12:02:00 UTC"
    )


def test_a_lock_is_renewed_every_third_of_its_lease(bench: Bench) -> None:
    with bench.operator().hold("a", "run-1") as held:
        assert bench.ticker.interval_s == 30
        for _ in range(10):
            bench.clock.advance(30)
            bench.ticker.tick()
            held.check()
        (lock,) = bench.operator().current("")
        assert lock.expires_at == START + timedelta(seconds=300) + LEASE
        assert lock.taken_at == START


def test_a_lock_that_is_not_renewed_is_lost_to_its_holder_before_others_may_take_it(bench: Bench) -> None:
    with bench.operator().hold("a", "run-1") as held:
        bench.clock.advance(90.1)
        with pytest.raises(Refused, match="could not be renewed in time"):
            held.check()
        with pytest.raises(Refused, match="run-1"), bench.operator().hold("a", "run-2"):
            pass


def test_an_expired_lock_is_taken_over_after_the_margin_for_clocks(bench: Bench) -> None:
    bench.crash_holding()
    bench.clock.advance(119.9)
    with pytest.raises(Refused), bench.operator().hold("a", "run-2"):
        pass
    assert [lock.owner.run_id for lock in bench.operator().current("")] == ["dead"]
    bench.clock.advance(0.2)
    assert bench.operator().current("") == ()
    with bench.operator().hold("a", "run-2") as held:
        held.check()


@pytest.mark.parametrize("ahead_s", [-29, 29])
def test_clocks_that_differ_by_less_than_the_margin_never_share_a_lock(bench: Bench, ahead_s: int) -> None:
    other = FakeClock(START + timedelta(seconds=ahead_s))
    with bench.operator().hold("a", "run-1") as held:
        for _ in range(130):
            bench.clock.advance(1)
            other.advance(1)
            try:
                with bench.operator(clock=other).hold("a", "run-2"):
                    pass
            except Refused:
                continue
            with pytest.raises(Refused):
                held.check()
            break


def test_a_holder_whose_time_of_day_is_set_back_still_loses_in_time(bench: Bench) -> None:
    with bench.operator().hold("a", "run-1") as held:
        bench.clock.set_wall(START - timedelta(hours=1))
        bench.clock.advance(91)
        with pytest.raises(Refused):
            held.check()


def test_a_holder_that_slept_with_its_laptop_has_lost(bench: Bench) -> None:
    with bench.operator().hold("a", "run-1") as held:
        bench.clock.set_wall(START + timedelta(hours=1))  # the monotonic clock stood still
        with pytest.raises(Refused):
            held.check()


def test_a_holder_learns_that_its_lock_was_taken_over(bench: Bench) -> None:
    with bench.operator().hold("a", "run-1") as held:
        bench.change(token="another")
        bench.ticker.tick()
        with pytest.raises(Refused, match="lost while it was held"):
            held.check()
    assert json.loads(bench.objects.objects[KEY])["token"] == "another", (
        "the end of the block freed another's lock"
    )


def test_a_lost_lock_stays_lost(bench: Bench) -> None:
    with bench.operator().hold("a", "run-1") as held:
        mine = bench.objects.objects[KEY]
        bench.change(token="another")
        bench.ticker.tick()
        bench.objects.objects[KEY] = mine
        bench.ticker.tick()
        with pytest.raises(Refused):
            held.check()


def test_a_renewal_that_fails_is_tried_again(bench: Bench) -> None:
    with bench.operator().hold("a", "run-1") as held:
        bench.objects.fail("put", AwsError("s3", "PutObject", "Unreachable", "gone"))
        bench.clock.advance(30)
        bench.ticker.tick()
        held.check()
        bench.clock.advance(30)
        bench.ticker.tick()
        bench.clock.advance(80)
        held.check()


class ForgetfulObjects(FakeObjects):
    """Writes, but the answer to the next writes gets lost; the client asks again and is told 412."""

    lost = 0

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str = "") -> str | None:
        etag = super().put(key, body, if_none_match=if_none_match, if_match=if_match)
        if etag and self.lost:
            self.lost -= 1
            return None
        return etag


@pytest.mark.parametrize("when", ["taking", "renewing"])
def test_an_answer_that_got_lost_is_no_lost_lock(when: str) -> None:
    objects = ForgetfulObjects()
    bench = Bench(objects=objects)
    objects.lost = 1 if when == "taking" else 0
    with bench.operator().hold("a", "run-1") as held:
        objects.lost = 0 if when == "taking" else 1
        bench.clock.advance(60)
        bench.ticker.tick()
        bench.clock.advance(60)
        held.check()
    assert objects.objects == {}


@pytest.mark.parametrize("position", [1, 2, 3], ids=["first write", "look", "write over"])
def test_who_is_overtaken_while_taking_over_is_refused(bench: Bench, position: int) -> None:
    bench.crash_holding()
    bench.clock.advance(121)
    now = bench.clock.now()
    left: list[str] = []

    def overtake(call: str) -> None:
        left.append(call)
        if len(left) == position:
            bench.change(
                token="another",
                owner={"user": "b", "host": "h", "pid": 1, "process_started": "", "run_id": "run-2"},
                expires_at=(now + LEASE).isoformat(),
            )

    bench.objects.after_call = overtake
    with pytest.raises(Refused, match="run-2"), bench.operator().hold("a", "run-1"):
        pass
    assert left[:2] == ["put", "get"]


def test_many_threads_never_hold_a_lock_together() -> None:
    objects, clock = FakeObjects(), FakeClock()
    inside, most, taken = [0], [0], [0]
    guard = threading.Lock()

    def work() -> None:
        locks = ObjectLocks(objects, clock, process=ELSEWHERE, ticker=HandTicker())
        for _ in range(50):
            try:
                with locks.hold("a", threading.current_thread().name):
                    with guard:
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                        taken[0] += 1
                    time.sleep(0.0001)
                    with guard:
                        inside[0] -= 1
            except Refused:
                time.sleep(0.0001)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert taken[0] > 8


def test_the_lock_of_a_killed_process_of_this_host_is_free_at_once(bench: Bench) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        dead = HostProcess("me", "here", child.pid, started(child.pid))
        bench.crash_holding(dead)
        with pytest.raises(Refused), bench.operator().hold("a", "run-2"):
            pass
        child.kill()
        child.wait()
        assert bench.operator().current("") == ()
        with bench.operator().hold("a", "run-2") as held:
            held.check()


def test_a_process_number_used_again_does_not_keep_a_lock_alive() -> None:
    me = HostProcess.current()
    boot, namespace, tick = me.started.split()
    assert not is_gone(me.pid, me.started)
    assert is_gone(me.pid, f"{boot} {namespace} {int(tick) - 1}")


@pytest.mark.parametrize("change", ["boot", "namespace", "nothing known"])
def test_a_process_of_another_machine_is_never_called_gone(change: str) -> None:
    boot, namespace, _ = HostProcess.current().started.split()
    elsewhere = {"boot": f"x {namespace} 1", "namespace": f"{boot} x 1", "nothing known": ""}[change]
    assert not is_gone(2**22 + 1, elsewhere)


def test_an_object_that_is_no_lock_is_not_written_over(bench: Bench) -> None:
    bench.objects.objects[KEY] = b"hello"
    with pytest.raises(Refused, match=r"locks/a\.json"), bench.operator().hold("a", "run-1"):
        pass
    assert bench.objects.objects[KEY] == b"hello"


def test_a_lock_that_can_not_be_released_does_not_hide_how_the_block_ended(bench: Bench) -> None:
    bench.objects.fail("delete", AwsError("s3", "DeleteObject", "Unreachable", "gone"))
    with pytest.raises(KeyError), bench.operator().hold("a", "run-1"):
        raise KeyError


def test_a_call_that_is_throttled_is_made_again_at_once(bench: Bench) -> None:
    throttled = AwsError("s3", "PutObject", "SlowDown", "Please reduce your request rate.")
    with bench.operator().hold("a", "run-1") as held:
        bench.clock.advance(85)
        bench.objects.fail("put", throttled, throttled, throttled)
        bench.ticker.tick()
        bench.clock.advance(80)
        held.check()
        bench.objects.fail("delete", throttled, throttled)
    assert bench.objects.objects == {}


def test_the_renewing_thread_renews_and_ends_with_the_block() -> None:
    ticked = threading.Event()
    with thread_ticker(0.01, ticked.set):
        assert ticked.wait(5)
    assert "lock-renewal" not in [thread.name for thread in threading.enumerate()]
