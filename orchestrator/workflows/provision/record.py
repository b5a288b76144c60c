# SPDX-License-Identifier: Apache-2.0
"""The record of a run in the config bucket: what it intends and what it did.

Where the stacks are is CloudFormation's to know; the record says who wanted what, and how far they came. The
bucket is made by the state stack, so until that is up the first run of an environment has no record: it is
written as soon as there is a place for it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchestrator.errors import NotFound, SlipwayError
from orchestrator.ports import Objects, Reporter
from orchestrator.workflows.provision.world import ProvisionWorld

PREFIX = "records/provision/"
RUNNING = "running"
NO_BUCKET = "NoSuchBucket"


class RunRecord:
    """What one run intends and did, kept in the config bucket of every environment it works on."""

    def __init__(self, world: ProvisionWorld, command: str, buckets: Iterable[Objects]) -> None:
        self._world = world
        self._buckets = tuple(buckets)
        self._lock = threading.Lock()
        self._document: dict[str, Any] = {
            "run_id": world.run_id,
            "command": command,
            "begun_at": self._now(),
            "outcome": RUNNING,
            "stacks": {},
        }

    def take_over(self) -> str:
        """Close the record of a run that was killed, and return its id; empty when the last one ended."""
        found = ""
        for bucket in self._buckets:
            found = self._close_killed(bucket) or found
        return found

    def plan(self, stack: str, action: str) -> None:
        """Note what is intended for a stack."""
        with self._lock:
            self._document["stacks"][stack] = {"action": action, "status": "planned", "at": self._now()}

    def note(self, stack: str, status: str) -> None:
        """Write how far a stack is."""
        with self._lock:
            self._document["stacks"][stack] |= {"status": status, "at": self._now()}
        self.write()

    def end(self, outcome: str) -> None:
        """Write how the run ended."""
        with self._lock:
            self._document |= {"outcome": outcome, "ended_at": self._now()}
        self.write()

    def write(self) -> None:
        """Write the record wherever its bucket exists by now."""
        with self._lock:
            body = json.dumps(self._document, indent=2, sort_keys=True).encode()
            for bucket in self._buckets:
                _put(bucket, f"{PREFIX}{self._world.run_id}.json", body)

    def _close_killed(self, bucket: Objects) -> str:
        try:
            keys = sorted(bucket.keys(PREFIX))
        except NotFound as error:
            if error.code != NO_BUCKET:
                raise
            return ""
        stored = bucket.get(keys[-1]) if keys else None
        document = json.loads(stored.body) if stored else {}
        if document.get("outcome") != RUNNING or stored is None:
            return ""
        document |= {"outcome": "killed", "continued_by": self._world.run_id}
        bucket.put(stored.key, json.dumps(document, indent=2, sort_keys=True).encode())
        return str(document["run_id"])

    def _now(self) -> str:
        return f"{self._world.clock.now():%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def recorded(record: RunRecord, intended: Mapping[str, str], reporter: Reporter) -> Iterator[None]:
    """Write what a run intends before the block, and how it ended after it.

    Args:
        intended: What is to be done with each stack, by its name.
    """
    killed = record.take_over()
    if killed:
        reporter.note(f"going on where run {killed} was stopped")
    for stack, action in intended.items():
        record.plan(stack, action)
    record.write()
    try:
        yield
    except SlipwayError as error:
        record.end(f"failed: {error.what}: {error.cause}")
        raise
    except KeyboardInterrupt:
        record.end("stopped by the operator")
        raise
    record.end("done")


def _put(bucket: Objects, key: str, body: bytes) -> None:
    try:
        bucket.put(key, body)
    except NotFound as error:
        if error.code != NO_BUCKET:
            raise
