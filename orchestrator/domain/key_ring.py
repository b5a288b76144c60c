# SPDX-License-Identifier: Apache-2.0
"""Whose keys machines let in, and who is kept out: what an environment's parameters say. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.domain.ssh_key import PublicKey, parse_public_key
from orchestrator.errors import ConfigError

_HEADINGS = ("name", "type", "fingerprint", "since", "comment")


def moment(time: datetime) -> str:
    """Return a time as parameters and records hold it: `2026-01-01T12:00:00Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """Somebody's key as its parameter holds it.

    Attributes:
        key: None when the parameter holds none that may open doors; `problem` says why.
        since: Empty when the parameter does not say it.
    """

    name: str
    key: PublicKey | None
    since: str = ""
    problem: str = ""

    @property
    def value(self) -> str:
        """Return what the parameter holds: a line of OpenSSH whose comment begins with the time."""
        kind, code, *comment = str(self.key).split(maxsplit=2)
        return " ".join((kind, code, self.since, *comment))

    def as_dict(self) -> dict[str, object]:
        """Return it for `--json`."""
        if self.key is None:
            return {"name": self.name, "problem": self.problem}
        return {
            "name": self.name,
            "type": self.key.description,
            "fingerprint": self.key.fingerprint,
            "comment": self.key.comment,
            "since": self.since,
        }


def stored_key(name: str, value: str) -> KnownKey:
    """Return the key that a parameter holds, which anybody may have written."""
    line, since = value, ""
    words = value.split(maxsplit=3)
    if len(words) > 2 and _is_time(words[2]):  # noqa: PLR2004 - after type and key
        line, since = " ".join((*words[:2], *words[3:])), words[2]
    try:
        return KnownKey(name, parse_public_key(line, source=name), since)
    except ConfigError as error:
        return KnownKey(name, None, since, error.problems[0].removeprefix(f"{name}: "))


def _is_time(word: str) -> bool:
    try:
        return datetime.fromisoformat(word).tzinfo is not None
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All that an environment's parameters say about people.

    Attributes:
        blocked: Since when, by name.
    """

    keys: Mapping[str, KnownKey]
    blocked: Mapping[str, str]

    def owner_of(self, key: PublicKey) -> str:
        """Return whose a key is, empty for nobody's."""
        return next((each.name for each in self.keys.values() if each.key and each.key.blob == key.blob), "")

    def as_dict(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "keys": [self.keys[name].as_dict() for name in sorted(self.keys)],
            "blocked": [{"name": name, "since": self.blocked[name]} for name in sorted(self.blocked)],
        }

    def lines(self) -> tuple[str, ...]:
        """Return it as an operator reads it."""
        rows = [_row(self.keys[name]) for name in sorted(self.keys)]
        table = _columns([_HEADINGS, *rows]) if rows else ("no keys: people come with certificates",)
        blocked = [(name, f"since {self.blocked[name]}") for name in sorted(self.blocked)]
        return (*table, *(("", "blocked:", *_columns(blocked)) if blocked else ()))


def _row(known: KnownKey) -> tuple[str, ...]:
    if known.key is None:
        return (known.name, "none", "-", known.since or "-", f"machines take no such key: {known.problem}")
    return (
        known.name,
        known.key.description,
        known.key.fingerprint,
        known.since or "-",
        known.key.comment or "-",
    )


def _columns(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return tuple(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
