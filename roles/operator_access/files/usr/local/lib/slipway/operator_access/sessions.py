# SPDX-License-Identifier: Apache-2.0
"""Make sessions of what sshd writes into the journal. Pure: lines go in, events come out.

A session is known by the process of sshd that watches over it. It writes what this trusts as root; what only
its child for the user knows is not needed. How much was carried is written by session_bytes.py, as root.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

SSHD = "sshd"
BYTES = "slipway-session-bytes"
MOST_ATTEMPTS = 1000
_KEY = r"(?P<kind>\S+) (?P<fingerprint>SHA256:\S+)(?: ID (?P<key_id>.*) \(serial (?P<serial>\d+)\) CA .*)?"
_FROM = re.compile(r"Connection from (?P<address>\S+) port \d+ on ")
_ACCEPTED = re.compile(rf"Accepted publickey for (?P<user>\S+) from \S+ port \d+ ssh2: {_KEY}")
_FAILED = re.compile(rf"Failed publickey for (?:invalid user )?(?P<user>.*) from \S+ port \d+ ssh2: {_KEY}")
_CHILD = re.compile(r"User child is on pid (?P<child>\d+)")
_WHY = re.compile(r"error: (?P<why>Certificate .*)")
_GONE = re.compile(r"(?:fatal: )?(?:Connection (?:closed|reset)|Disconnect(?:ed|ing)|Timeout before) .*")
_CLOSED = "pam_unix(sshd:session): session closed for user "
_CARRIED = re.compile(r"session (?P<pid>\d+) sent (?P<sent>\d+) received (?P<received>\d+)")
_KEY_ID = re.compile(r"(?P<who>[^/]+)/(?P<door>[^/]+)/(?P<session>[A-Za-z0-9._-]+)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the journal, with what journald itself vouches for: who wrote it, and when."""

    identifier: str
    pid: int
    uid: int
    boot: str
    micros: int
    text: str


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who came in.

    Attributes:
        pid: sshd's process that watches over the session.
        child: Its process for the user.
        started: When the first of them started, in the kernel's ticks, so that no other is taken for it.
    """

    session: str
    who: str | None
    door: str
    user: str
    address: str
    fingerprint: str
    serial: str | None
    pid: int
    boot: str
    began: int
    child: int | None = None
    started: int | None = None
    sent: int | None = None
    received: int | None = None


@dataclass(frozen=True, slots=True)
class _Attempt:
    address: str
    user: str | None = None
    fingerprint: str | None = None
    key_id: str | None = None
    serial: str | None = None
    why: str | None = None


@dataclass(slots=True)
class Sessions:
    """The sessions that are open, and the connections that may become some.

    Attributes:
        name_of: Whose a plain key is, by its fingerprint.
        is_blocked: Whether somebody is kept out.
    """

    name_of: Callable[[str], str | None]
    is_blocked: Callable[[str], bool]
    open: dict[int, Session] = field(default_factory=dict)
    attempts: dict[int, _Attempt] = field(default_factory=dict)

    def feed(self, line: Line) -> list[dict[str, Any]]:
        """Take in a line and return what it means: records of sessions that began, ended or were refused."""
        if line.uid != 0:
            return []
        if line.identifier == BYTES:
            return self._carried(line)
        if found := _FROM.match(line.text):
            self._remember(line.pid, _Attempt(found["address"]))
        elif found := _ACCEPTED.fullmatch(line.text):
            return [*self._over(line.pid, line.micros), *self._accepted(line, found)]
        elif (found := _CHILD.fullmatch(line.text)) and line.pid in self.open:
            self.open[line.pid] = replace(self.open[line.pid], child=int(found["child"]))
        elif line.text.startswith(_CLOSED):
            return self._over(line.pid, line.micros)
        else:
            return self._attempted(line)
        return []

    def lost(self, pid: int, micros: int) -> list[dict[str, Any]]:
        """End a session of which the journal did not tell the end."""
        return self._over(pid, micros)

    def started(self, pid: int, ticks: int | None) -> None:
        """Remember when the process of a session started."""
        if pid in self.open:
            self.open[pid] = replace(self.open[pid], started=ticks)

    def _accepted(self, line: Line, found: re.Match[str]) -> list[dict[str, Any]]:
        attempt = self.attempts.pop(line.pid, None)
        own = _KEY_ID.fullmatch(found["key_id"] or "")
        if own:
            who, door, name = own["who"], own["door"], own["session"]
        else:
            who, door, name = self.name_of(found["fingerprint"]), "key", f"{line.micros:x}-{line.pid:x}"
        session = Session(
            session=name,
            who=who,
            door=door,
            user=found["user"],
            address=attempt.address if attempt else "",
            fingerprint=found["fingerprint"],
            serial=found["serial"],
            pid=line.pid,
            boot=line.boot,
            began=line.micros,
        )
        self.open[line.pid] = session
        return [_record("began", session)]

    def _carried(self, line: Line) -> list[dict[str, Any]]:
        found = _CARRIED.fullmatch(line.text)
        if found and int(found["pid"]) in self.open:
            pid = int(found["pid"])
            sent, received = int(found["sent"]), int(found["received"])
            self.open[pid] = replace(self.open[pid], sent=sent, received=received)
        return []

    def _over(self, pid: int, micros: int) -> list[dict[str, Any]]:
        session = self.open.pop(pid, None)
        if session is None:
            return []
        return [
            _record("ended", session)
            | {
                "ended": moment(micros),
                "seconds": round(max(0, micros - session.began) / 1e6, 3),
                "sent_bytes": session.sent,
                "received_bytes": session.received,
            }
        ]

    def _attempted(self, line: Line) -> list[dict[str, Any]]:
        attempt = self.attempts.get(line.pid)
        if attempt is None:
            return []
        if found := _WHY.fullmatch(line.text.removesuffix(" [preauth]")):
            self._remember(line.pid, replace(attempt, why=found["why"]))
        elif found := _FAILED.fullmatch(line.text.removesuffix(" [preauth]")):
            self._remember(line.pid, _tried(attempt, found))
        elif _GONE.fullmatch(line.text):
            del self.attempts[line.pid]
            return [self._refused(line, attempt)] if attempt.fingerprint else []
        return []

    def _remember(self, pid: int, attempt: _Attempt) -> None:
        """Keep what is known of a connection; a flood of them pushes out the oldest."""
        self.attempts[pid] = attempt
        if len(self.attempts) > MOST_ATTEMPTS:
            del self.attempts[next(iter(self.attempts))]

    def _refused(self, line: Line, attempt: _Attempt) -> dict[str, Any]:
        own = _KEY_ID.fullmatch(attempt.key_id or "")
        who = own["who"] if own else self.name_of(attempt.fingerprint or "")
        why = attempt.why or "no such key"
        if who is not None and self.is_blocked(who):
            why = "the name is blocked"
        return {
            "session": own["session"] if own else f"{line.micros:x}-{line.pid:x}",
            "event": "refused",
            "user": attempt.user,
            "who": who,
            "door": own["door"] if own else "key",
            "certificate_serial": attempt.serial,
            "key_fingerprint": attempt.fingerprint,
            "from": attempt.address,
            "began": moment(line.micros),
            "why": why,
        }


def _tried(attempt: _Attempt, found: re.Match[str]) -> _Attempt:
    """Add a key that was tried. Clients try a certificate's bare key as well: the certificate tells more."""
    if attempt.key_id is not None:
        return attempt
    return replace(
        attempt,
        user=found["user"][:64],
        fingerprint=found["fingerprint"],
        key_id=found["key_id"],
        serial=found["serial"],
    )


def _record(event: str, session: Session) -> dict[str, Any]:
    return {
        "session": session.session,
        "event": event,
        "user": session.user,
        "who": session.who,
        "door": session.door,
        "certificate_serial": session.serial,
        "key_fingerprint": session.fingerprint,
        "from": session.address,
        "began": moment(session.began),
    }


def moment(micros: int) -> str:
    """Return a time of the journal as records write it."""
    at = datetime.fromtimestamp(micros / 1e6, tz=UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line_of(entry: Mapping[str, Any]) -> Line | None:
    """Return a line by journald's entry, or None if it is none that sshd could have written."""
    text = entry.get("MESSAGE")
    if isinstance(text, list):  # journald's way to show what is no text
        text = bytes(text).decode(errors="replace")
    try:
        return Line(
            identifier=str(entry.get("SYSLOG_IDENTIFIER")),
            pid=int(entry["_PID"]),
            uid=int(entry["_UID"]),
            boot=str(entry["_BOOT_ID"]),
            micros=int(entry["__REALTIME_TIMESTAMP"]),
            text=str(text),
        )
    except (KeyError, ValueError, TypeError):
        return None
