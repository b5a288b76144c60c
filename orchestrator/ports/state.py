# SPDX-License-Identifier: Apache-2.0
"""What is kept in AWS: objects, locks, the account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.domain.lock import Owner


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of the config bucket. `etag` is what `if_match` takes."""

    key: str
    body: bytes
    etag: str


class Objects(Protocol):
    """The environment's config bucket."""

    def get(self, key: str) -> StoredObject | None:
        """Return the object, or None."""

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str = "") -> str | None:
        """Write the object and return its etag, or None when the condition did not hold."""

    def delete(self, key: str, *, if_match: str = "") -> bool:
        """Delete the object; return False when the condition did not hold."""

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Return the keys that begin with `prefix`."""


class Identity(Protocol):
    """Whom AWS takes us for."""

    def account_id(self) -> str:
        """Return the account of the credentials in use."""

    def arn(self) -> str:
        """Return who uses them, as STS names him."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as it stands in the config bucket."""

    name: str
    owner: Owner
    expires_at: datetime
    taken_at: datetime | None = None


class HeldLock(Protocol):
    """A lock in use."""

    def check(self) -> None:
        """Raise Refused if the lock was lost: call it before each step that two runs must not both take."""


class Locks(Protocol):
    """Locks in the config bucket, one object each, renewed while held."""

    def hold(self, name: str, run_id: str) -> AbstractContextManager[HeldLock]:
        """Hold the lock for the block, renewing it; raise Refused, naming its owner, when it is held."""

    def current(self, prefix: str) -> tuple[Lock, ...]:
        """Return the locks whose owner may be alive: not expired, and no dead process of this host."""


class Parameters(Protocol):
    """SSM parameters that are no secrets."""

    def get(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the values of those that exist."""

    def create(self, name: str, value: str) -> bool:
        """Write a new parameter; return False when there is one already, which stays as it is."""

    def put(self, name: str, value: str) -> None:
        """Write a parameter, a new one or over the one that is there."""

    def below(self, path: str) -> Mapping[str, str]:
        """Return the values of the parameters directly below a path, by what their names say after it."""

    def delete(self, names: Sequence[str]) -> None:
        """Delete parameters; what is gone already is no error."""
