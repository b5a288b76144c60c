# SPDX-License-Identifier: Apache-2.0
"""Locks as objects of the config bucket: taken with If-None-Match, renewed and released with If-Match.

A lock is a lease. Its holder renews it every third of the lease and counts it as lost once it has passed by
its own clock. Others take it over only when it has passed by theirs and a margin for clocks that differ, or
when its owner was a process of this host that is gone. The renewing thread can't stop the holder, so the
block asks: `held.check()` raises Refused once the lock is lost.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta

from orchestrator.clock import Clock
from orchestrator.domain.lock import LockRecord, Owner
from orchestrator.errors import AwsError, Refused
from orchestrator.host_process import HostProcess, is_gone
from orchestrator.ports import HeldLock, Lock, Objects

PREFIX = "locks/"
DEFAULT_LEASE = timedelta(seconds=120)
DEFAULT_SKEW = timedelta(seconds=60)
_RACES = 5
# How long the end of a block waits for a renewal under way; one that comes later is refused by its etag.
_PATIENCE_S = 10.0
# A call that is throttled is made again at once: a lock that can't be renewed stops its holder's work.
_TRIES, _PAUSE_S = 5, 1.0

_log = logging.getLogger(__name__)

# Runs an action every so many seconds while its block lasts.
Ticker = Callable[[float, Callable[[], None]], AbstractContextManager[None]]


@contextmanager
def thread_ticker(interval_s: float, action: Callable[[], None]) -> Iterator[None]:
    """Run an action in a thread of its own every `interval_s` seconds until the block ends."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(interval_s):
            action()

    thread = threading.Thread(target=run, name="lock-renewal", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(_PATIENCE_S)


class ObjectLocks:
    """Locks in a bucket, one object each: `locks/<name>.json`."""

    def __init__(  # noqa: PLR0913 - what a test replaces
        self,
        objects: Objects,
        clock: Clock,
        *,
        process: HostProcess | None = None,
        lease: timedelta = DEFAULT_LEASE,
        skew: timedelta = DEFAULT_SKEW,
        ticker: Ticker = thread_ticker,
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._process = process
        self._lease = lease
        self._skew = skew
        self._ticker = ticker

    @contextmanager
    def hold(self, name: str, run_id: str) -> Iterator[HeldLock]:
        """Hold the lock for the block, renewing it.

        Yields:
            The lock; its `check` raises Refused once the lock was lost.

        Raises:
            Refused: Somebody else holds it; names them.
        """
        lease = _Lease(self._objects, self._clock, name, record=self._record(run_id), length=self._lease)
        self._take(lease)
        try:
            with self._ticker(self._lease.total_seconds() / 3, lease.renew):
                yield lease
        finally:
            lease.release()

    def current(self, prefix: str) -> tuple[Lock, ...]:
        """Return the locks whose owner is alive, as far as can be told."""
        names = [_name(key) for key in self._objects.keys(f"{PREFIX}{prefix}")]
        records = [(name, record) for name in names if (record := self._read(name)[0])]
        return tuple(_lock(name, record) for name, record in records if not self._is_dead(record))

    def _record(self, run_id: str) -> LockRecord:
        me = self._process or HostProcess.current()
        now = self._clock.now()
        owner = Owner(me.user, me.host, me.pid, me.started, run_id)
        return LockRecord(owner, secrets.token_hex(8), taken_at=now, expires_at=now + self._lease)

    def _take(self, lease: _Lease) -> None:
        """Write the object if there is none or its owner is dead; whoever loses a race looks again."""
        for _ in range(_RACES):
            if lease.write(if_none_match=True):
                return
            record, etag = self._read(lease.name)
            if record is None:
                continue  # released in between
            if record.token == lease.token:
                # The answer to our first try got lost, and the client tried again.
                lease.adopt(etag)
                return
            if not self._is_dead(record):
                raise self._refusal(lease.name, record)
            if lease.write(if_match=etag):
                _log.info("took over lock %s of %s", lease.name, record.owner)
                return
        raise Refused(
            f"lock {lease.name}", "others take and release it all the time", next_command="try again"
        )

    def _read(self, name: str) -> tuple[LockRecord | None, str]:
        stored = self._objects.get(_key(name))
        if stored is None:
            return None, ""
        record = LockRecord.from_json(stored.body)
        if record is None:
            raise Refused(
                f"lock {name}",
                f"the object {stored.key} of the config bucket is not a lock",
                next_command=f"look at {stored.key} and delete it",
            )
        return record, stored.etag

    def _is_dead(self, record: LockRecord) -> bool:
        is_expired = record.is_expired(self._clock.now(), skew=self._skew)
        return is_expired or is_gone(record.owner.pid, record.owner.process_started)

    def _refusal(self, name: str, record: LockRecord) -> Refused:
        owner = record.owner
        frees_itself = record.expires_at + self._skew
        return Refused(
            f"lock {name}",
            f"held by {owner.user} on {owner.host} (process {owner.pid}, run {owner.run_id}) "
            f"since {record.taken_at:%Y-%m-%d %H:%M:%S} UTC",
            next_command="wait for that run to end and repeat the command; "
            f"if it was killed, the lock frees itself at {frees_itself:%H:%M:%S} UTC",
        )


class _Lease:
    """One lock in one block: what was written last, and until when it counts."""

    def __init__(
        self, objects: Objects, clock: Clock, name: str, *, record: LockRecord, length: timedelta
    ) -> None:
        self.name = name
        self._objects = objects
        self._clock = clock
        self._record = record
        self._length = length
        self._etag = ""
        self._deadline_s = 0.0
        self._taken_from_us = False

    @property
    def token(self) -> str:
        """Return what tells this hold from all others."""
        return self._record.token

    def write(self, *, if_none_match: bool = False, if_match: str = "") -> bool:
        """Write the object with a fresh lease; return False when somebody else was quicker."""
        begun_s = self._clock.monotonic_s()
        record = replace(self._record, expires_at=self._clock.now() + self._length)
        body = record.to_json()
        etag = self._objects.put(_key(self.name), body, if_none_match=if_none_match, if_match=if_match)
        if etag is None:
            return False
        self._record, self._etag = record, etag
        self._deadline_s = begun_s + self._length.total_seconds()
        return True

    def adopt(self, etag: str) -> None:
        """Go on from the object as it stands: it is ours."""
        self._etag = etag
        self.renew()

    def renew(self) -> None:
        """Write a fresh lease; a call that fails is made again next time, a lock of another's is lost."""
        if self._taken_from_us:
            return
        try:
            self._taken_from_us = not self._persist(
                lambda: self.write(if_match=self._etag) or self._write_over_own()
            )
        except AwsError as exc:
            _log.warning("lock %s could not be renewed: %s", self.name, exc.cause)

    def _persist(self, call: Callable[[], bool]) -> bool:
        for _ in range(_TRIES - 1):
            try:
                return call()
            except AwsError as exc:
                _log.info("lock %s: %s", self.name, exc.cause)
            self._clock.sleep(_PAUSE_S)
        return call()

    def _write_over_own(self) -> bool:
        """Renew from the object itself if it is ours: an answer got lost, and with it the etag."""
        stored = self._objects.get(_key(self.name))
        record = LockRecord.from_json(stored.body) if stored else None
        if stored is None or record is None or record.token != self.token:
            return False
        return self.write(if_match=stored.etag)

    def check(self) -> None:
        """Raise Refused if the lock was lost: another run has it, or it could not be renewed in time."""
        # A laptop that sleeps stops the monotonic clock, one whose time is set moves the other.
        has_passed = (
            self._clock.monotonic_s() > self._deadline_s or self._clock.now() > self._record.expires_at
        )
        if self._taken_from_us or has_passed:
            raise Refused(
                f"lock {self.name}",
                "lost while it was held" if self._taken_from_us else "it could not be renewed in time",
                state="what this run did before stands, and it stopped here",
                next_command="look for another run of the same command, then repeat it",
            )

    def release(self) -> None:
        """Delete the object if it is still ours; what can't be deleted expires."""
        try:
            if not self._persist(lambda: self._objects.delete(_key(self.name), if_match=self._etag)):
                _log.warning("lock %s was not ours any more when it was released", self.name)
        except AwsError as exc:
            _log.warning("lock %s could not be released and will expire: %s", self.name, exc.cause)


def _lock(name: str, record: LockRecord) -> Lock:
    return Lock(name, record.owner, expires_at=record.expires_at, taken_at=record.taken_at)


def _key(name: str) -> str:
    return f"{PREFIX}{name}.json"


def _name(key: str) -> str:
    return key.removeprefix(PREFIX).removesuffix(".json")
