# SPDX-License-Identifier: Apache-2.0
"""The config bucket, the account and locks, in memory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain.lock import Owner
from orchestrator.errors import NotFound, Refused
from orchestrator.ports import HeldLock, Lock, StoredObject
from tests.fakes.basics import FakeClock, Recorded

ACCOUNT = "123456789012"


class FakeObjects(Recorded):
    """A bucket in memory, with S3's conditions; safe to be used by threads."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.has_bucket = True
        self._lock = threading.Lock()

    def _note(self, call: str) -> None:
        super()._note(call)
        if not self.has_bucket:
            raise NotFound("s3", call, "NoSuchBucket", "The specified bucket does not exist")

    def get(self, key: str) -> StoredObject | None:
        self._note("get")
        with self._lock:
            body = self.objects.get(key)
        return None if body is None else StoredObject(key, body, _etag(body))

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str = "") -> str | None:
        self._note("put")
        with self._lock:
            if (if_none_match and key in self.objects) or not self._holds(key, if_match):
                return None
            self.objects[key] = body
        return _etag(body)

    def delete(self, key: str, *, if_match: str = "") -> bool:
        self._note("delete")
        with self._lock:
            if not self._holds(key, if_match):
                return False
            self.objects.pop(key, None)
        return True

    def keys(self, prefix: str) -> tuple[str, ...]:
        self._note("keys")
        with self._lock:
            return tuple(sorted(key for key in self.objects if key.startswith(prefix)))

    def _holds(self, key: str, if_match: str) -> bool:
        return not if_match or (key in self.objects and _etag(self.objects[key]) == if_match)


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


@dataclass
class FakeIdentity:
    """An account."""

    account: str = ACCOUNT
    name: str = "user/ann"

    def account_id(self) -> str:
        return self.account

    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:{self.name}"


@dataclass
class FakeHeldLock:
    """A lock that a test can lose."""

    is_lost: bool = False

    def check(self) -> None:
        if self.is_lost:
            raise Refused("lock", "lost while it was held")


class FakeLocks(Recorded):
    """Locks in memory; `others` are held by somebody else."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self.held: dict[str, Lock] = {}
        self.given: list[tuple[str, FakeHeldLock]] = []

    def hold_for_other(self, name: str, run_id: str) -> None:
        """Let another operator hold a lock."""
        self.held[name] = self._entry(name, Owner("ana", "elsewhere", 7, "", run_id))

    @contextmanager
    def hold(self, name: str, run_id: str) -> Iterator[HeldLock]:
        self._note(f"hold {name}")
        with self._lock:
            if name in self.held:
                owner = self.held[name].owner
                raise Refused(f"lock {name}", f"held by {owner.user} on {owner.host} (run {owner.run_id})")
            self.held[name] = self._entry(name, Owner("me", "here", 1, "", run_id))
        lock = FakeHeldLock()
        self.given.append((name, lock))
        try:
            yield lock
        finally:
            with self._lock:
                del self.held[name]

    def current(self, prefix: str) -> tuple[Lock, ...]:
        self._note("current")
        with self._lock:
            return tuple(lock for name, lock in sorted(self.held.items()) if name.startswith(prefix))

    def _entry(self, name: str, owner: Owner) -> Lock:
        now = self._clock.now()
        return Lock(name, owner, expires_at=now + timedelta(seconds=60), taken_at=now)
