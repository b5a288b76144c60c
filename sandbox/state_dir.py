# SPDX-License-Identifier: Apache-2.0
"""The directory where a checkout's region keeps its files, and how one tells whether its daemon runs."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
DEFAULT_PORT = 4566
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class DaemonRecord:
    """What a running daemon says of itself in its state directory."""

    pid: int
    port: int
    mode: str
    region: str

    @property
    def endpoint(self) -> str:
        """The URL of the AWS API."""
        return f"http://127.0.0.1:{self.port}"


class AlreadyRunning(Exception):
    """Another daemon holds the directory."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """The files of a region."""

    path: Path

    @classmethod
    def of_checkout(cls, checkout: Path = CHECKOUT) -> StateDir:
        """Return the directory of a checkout."""
        return cls(checkout / ".sandbox")

    @property
    def log(self) -> Path:
        """What the daemon logs."""
        return self.path / "daemon.log"

    @property
    def requests(self) -> Path:
        """One line per call of the AWS API."""
        return self.path / "requests.log"

    def saved(self, mode: str) -> Path:
        """What is kept of the account from one run to the next; a simulation's is not a real region's."""
        return self.path / ("simulated.state" if mode == "simulated" else "region.state")

    @property
    def has_had_machines(self) -> bool:
        """Whether real machines ever ran here, and may have left something on the host."""
        return (self.path / "real").exists()

    def note_machines(self) -> None:
        """Record that real machines run here."""
        (self.path / "real").touch()

    @property
    def _record(self) -> Path:
        return self.path / "daemon.json"

    @property
    def _lock(self) -> Path:
        return self.path / "daemon.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory for one daemon, until the process ends in whatever way.

        Raises:
            AlreadyRunning: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise AlreadyRunning from error
            yield
            # Reached only after an orderly end: a record without a holder tells of a daemon that was killed.
            self._record.unlink(missing_ok=True)

    def write(self, record: DaemonRecord) -> None:
        """Record the running daemon."""
        part = self._record.with_suffix(".part")
        part.write_text(json.dumps(asdict(record)), "utf-8")
        part.replace(self._record)

    def last_record(self) -> DaemonRecord | None:
        """Return the record of the last daemon, running or killed."""
        try:
            return DaemonRecord(**json.loads(self._record.read_text("utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def running(self) -> DaemonRecord | None:
        """Return the record of the daemon that holds the directory now."""
        return self.last_record() if self.is_held() else None

    def is_held(self) -> bool:
        """Whether a daemon holds the directory."""
        if not self._lock.exists():
            return False
        descriptor = os.open(self._lock, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False
