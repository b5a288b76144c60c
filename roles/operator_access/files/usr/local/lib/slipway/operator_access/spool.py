# SPDX-License-Identifier: Apache-2.0
"""Keep records until they are where they belong. What does not fit pushes out the oldest, and is counted."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

LOGS, OBJECTS = "logs", "objects"
MOST_RECORDS = 5000


@dataclass(slots=True)
class Item:
    """A record, the time that it stands under, and where it still has to go."""

    micros: int
    record: dict[str, Any]
    to: set[str]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can keep it."""
        return {"micros": self.micros, "record": self.record, "to": sorted(self.to)}


@dataclass(slots=True)
class Spool:
    """Records on their way.

    Attributes:
        dropped: How many there was no room for, since the last time this was told.
    """

    most: int = MOST_RECORDS
    items: deque[Item] = field(default_factory=deque)
    dropped: int = 0

    def add(self, item: Item) -> None:
        """Put a record at the end."""
        self.items.append(item)
        while len(self.items) > self.most:
            self.items.popleft()
            self.dropped += 1

    def waiting(self, destination: str, most: int) -> list[Item]:
        """Return the oldest records that have to go somewhere."""
        found = []
        for item in self.items:
            if destination in item.to:
                found.append(item)
                if len(found) == most:
                    break
        return found

    def arrived(self, destination: str, items: list[Item]) -> None:
        """Take note that records are where they belong."""
        for item in items:
            item.to.discard(destination)
        self.items = deque(item for item in self.items if item.to)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can keep it."""
        return {"items": [item.to_dict() for item in self.items], "dropped": self.dropped}

    def restore(self, values: dict[str, Any]) -> None:
        """Take over what `to_dict` kept."""
        self.dropped = values["dropped"]
        for item in values["items"]:
            self.add(Item(item["micros"], item["record"], set(item["to"])))
