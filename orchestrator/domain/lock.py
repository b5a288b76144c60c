# SPDX-License-Identifier: Apache-2.0
"""What a lock object says, and whether its owner can still be alive. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock: enough to find them, and to see that they are gone.

    `process_started` is empty where the host can't tell it.
    """

    user: str
    host: str
    pid: int
    process_started: str
    run_id: str


@dataclass(frozen=True, slots=True)
class LockRecord:
    """The body of a lock object. `token` tells two holds of one process apart."""

    owner: Owner
    token: str
    taken_at: datetime
    expires_at: datetime

    def to_json(self) -> bytes:
        """Return the body of the object."""
        document = {
            "owner": asdict(self.owner),
            "token": self.token,
            "taken_at": self.taken_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes) -> LockRecord | None:
        """Return the record, or None when the body is no record of ours."""
        try:
            document = json.loads(body)
            return cls(
                owner=Owner(**document["owner"]),
                token=str(document["token"]),
                taken_at=_time(document["taken_at"]),
                expires_at=_time(document["expires_at"]),
            )
        except (ValueError, TypeError, KeyError):
            return None

    def is_expired(self, now: datetime, *, skew: timedelta) -> bool:
        """Tell whether the lease has ended, on whichever of the two clocks is behind by at most `skew`."""
        return now > self.expires_at + skew


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return time
