# SPDX-License-Identifier: Apache-2.0
"""The long-running part: who may come in, who is in, who must go."""

from __future__ import annotations

import logging
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from . import cache, evict
from .cloud import Cloud
from .journal import Follower
from .machine import Machine
from .people import People
from .publish import Leftover
from .recorder import Recorder
from .rules import Known
from .server import let_in_only_who_is_known
from .sessions import Sessions

EVERYTHING_S = 600.0
JITTER = 0.1
TICK_S = 1.0
LONGEST_PAUSE_S = 60.0

log = logging.getLogger(__name__)


def watch(machine: Machine, *, refresh_s: float) -> None:
    """Keep the machine's doors until it is told to stop."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    cloud = Cloud(machine)
    known = Known(machine.environment, machine.server_class)
    people = People(cloud, known, run=cache.RUN, state=cache.STATE)
    people.write()
    let_in_only_who_is_known()
    sessions = Sessions(lambda key: people.names().get(key), lambda who: who in people.known.blocked)
    recorder = Recorder(machine, cloud, sessions, places=(cache.RUN, cache.STATE))
    follower = Follower(recorder.feed, lambda: recorder.cursor)
    follower.start()
    threads = [
        _thread(_record, recorder, stop),
        _thread(_learn, people, recorder, Leftover(cloud), refresh_s, stop),
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(TICK_S):
        # Started anew by systemd, all of it works again; half of it would look as if it did.
        if not (follower.is_alive and all(thread.is_alive() for thread in threads)):
            raise SystemExit("a part of the program has ended")
    time.sleep(TICK_S)  # the journal still tells of sessions that end with the machine
    follower.stop()
    recorder.save()
    recorder.send()
    recorder.save()


def _thread(run: Callable[..., None], *args: object) -> threading.Thread:
    return threading.Thread(target=run, args=args, name=run.__name__, daemon=True)


def _learn(
    people: People, recorder: Recorder, left: Leftover, refresh_s: float, stop: threading.Event
) -> None:
    """Learn who may come in, and send away who may not any more."""
    last_of_everything, pause, is_well = float("-inf"), TICK_S, True
    while True:
        is_all_due = time.monotonic() - last_of_everything >= EVERYTHING_S or not is_well
        is_well = people.refresh(everything=is_all_due)
        if is_all_due:
            last_of_everything = time.monotonic()
        _send_away(people, recorder)
        left.publish()
        pause = refresh_s if is_well else min(2 * pause, refresh_s)
        # Machines that were launched together don't ask together. Never later than was promised.
        if stop.wait(pause * (1 - JITTER * random.random())):  # noqa: S311
            return


def _send_away(people: People, recorder: Recorder) -> None:
    blocked, fingerprints = people.known.blocked, people.names().keys()
    ended = [
        session
        for session in recorder.open_sessions()
        if evict.must_go(session, blocked=blocked, fingerprints=fingerprints)
    ]
    for session in ended:
        log.warning("session %s is ended: %s has no access any more", session.session, session.who)
    evict.end(ended)


def _record(recorder: Recorder, stop: threading.Event) -> None:
    """Send records on; the longer nobody takes them, the more seldom it is tried."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    pause = TICK_S
    while not stop.wait(pause):
        recorder.sweep(boot)
        recorder.save()
        pause = TICK_S if recorder.send() else min(2 * pause, LONGEST_PAUSE_S)
        recorder.save()
