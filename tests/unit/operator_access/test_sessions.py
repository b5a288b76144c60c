# SPDX-License-Identifier: Apache-2.0
"""What sshd's lines mean: sessions that begin, end or are refused; and that nobody can forge them."""

from __future__ import annotations

from typing import Any

import pytest
from operator_access.sessions import MOST_ATTEMPTS, Line, Sessions, line_of

from tests.unit.operator_access.journals import (
    AUTHORITY,
    BOOT,
    KEY,
    SERIAL,
    START,
    attempt,
    certificate,
    connection,
    line,
    login,
    logout,
)

BEGAN = "2027-01-15T08:00:00.000Z"
SESSION = {
    "session": "abc123",
    "user": "admin",
    "who": "ada",
    "door": "shell",
    "certificate_serial": SERIAL,
    "key_fingerprint": KEY,
    "from": "198.18.0.7",
    "began": BEGAN,
}
BLOCKED = frozenset({"eve"})


def fed(*lines: Line, sessions: Sessions | None = None) -> list[dict[str, Any]]:
    """Return the records that lines lead to; the plain key belongs to bob, and eve is kept out."""
    reader = sessions or Sessions({KEY: "bob"}.get, BLOCKED.__contains__)
    return [record for each in lines for record in reader.feed(each)]


def test_a_session_begins_and_ends_with_what_it_carried() -> None:
    assert fed(*login(), *logout(at=62.5)) == [
        {"event": "began", **SESSION},
        {
            "event": "ended",
            **SESSION,
            "ended": "2027-01-15T08:01:02.500Z",
            "seconds": 62.5,
            "sent_bytes": 6097,
            "received_bytes": 2008658,
        },
    ]


def test_where_nobody_counted_nothing_is_made_up() -> None:
    (_, ended) = fed(*login(), logout(at=1.0)[2])
    assert (ended["sent_bytes"], ended["received_bytes"]) == (None, None)


def test_sessions_side_by_side_are_told_apart() -> None:
    first, second = login(pid=100), login(certificate("bob/reader/def456"), pid=200)
    mixed = [line for pair in zip(first, second, strict=True) for line in pair]
    records = fed(*mixed, *logout(pid=200, sent=2), *logout(pid=100, sent=1))
    assert [(record["event"], record["who"], record.get("sent_bytes")) for record in records] == [
        ("began", "ada", None),
        ("began", "bob", None),
        ("ended", "bob", 2),
        ("ended", "ada", 1),
    ]


def test_a_plain_key_is_known_by_its_fingerprint() -> None:
    (began,) = fed(*login(f"ED25519 {KEY}"))
    name = f"{START:x}-{98:x}"
    assert began == {
        "event": "began",
        **SESSION,
        "session": name,
        "who": "bob",
        "door": "key",
        "certificate_serial": None,
    }


def test_a_process_that_begins_a_second_session_has_ended_the_first() -> None:
    records = fed(*login(), *login(certificate("bob/shell/def456"), at=5.0))
    assert [(record["event"], record["who"]) for record in records] == [
        ("began", "ada"),
        ("ended", "ada"),
        ("began", "bob"),
    ]


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (
            (
                "error: Certificate invalid: expired",
                f"Failed publickey for admin from 198.18.0.7 port 43062 ssh2: {certificate()}",
                f"Failed publickey for admin from 198.18.0.7 port 43062 ssh2: ED25519 {KEY}",
            ),
            {"why": "Certificate invalid: expired"},
        ),
        (
            (
                "error: Certificate does not contain an authorized principal",
                f"Failed publickey for admin from 198.18.0.7 port 4 ssh2: {certificate('eve/jump/s1')}",
            ),
            {"why": "the name is blocked", "who": "eve", "door": "jump", "session": "s1"},
        ),
        (
            (f"Failed publickey for invalid user bob from 198.18.0.7 port 4 ssh2: ED25519 {KEY}",),
            {
                "why": "no such key",
                "who": "bob",
                "door": "key",
                "user": "bob",
                "session": f"{START:x}-{98:x}",
                "certificate_serial": None,
            },
        ),
    ],
    ids=["expired", "blocked", "a key of nobody here"],
)
def test_who_is_refused_is_told(texts: tuple[str, ...], told: dict[str, Any]) -> None:
    assert fed(*attempt(*texts)) == [{"event": "refused", **SESSION, **told}]


def test_who_knocks_without_a_key_is_not_told() -> None:
    assert fed(*attempt("Invalid user root from 198.18.0.7 port 43062")) == []


def test_who_gets_in_at_the_second_key_is_not_refused() -> None:
    failed = f"Failed publickey for admin from 198.18.0.7 port 43062 ssh2: ED25519 {KEY}"
    first, *rest = login()
    records = fed(first, line(failed), *rest, *logout())
    assert [record["event"] for record in records] == ["began", "ended"]


@pytest.mark.parametrize(
    "forged",
    [
        line(login()[1].text, uid=1000),
        line("session 98 sent 0 received 0", uid=1000, identifier="slipway-session-bytes"),
        line("pam_unix(sshd:session): session closed for user admin", uid=1000),
        line(f"x Accepted publickey for admin from 1.1.1.1 port 1 ssh2: {certificate('bob/shell/x')}"),
        line(
            f"Accepted publickey for a from 1.1.1.1 port 1 ssh2: {certificate('bob/shell/x')} and more", uid=1
        ),
    ],
)
def test_nobody_but_root_tells_of_sessions(forged: Line) -> None:
    assert fed(*login(), forged, *logout(at=1.0)) == fed(*login(), *logout(at=1.0))


def test_a_strange_key_id_names_nobody() -> None:
    (record,) = fed(*login(certificate(f"x (serial 1) {AUTHORITY} ID ada/shell/1 2")))
    assert (record["who"], record["door"]) == ("bob", "key")


def test_a_flood_of_connections_is_forgotten_from_its_beginning() -> None:
    sessions = Sessions({}.get, BLOCKED.__contains__)
    fed(*(connection(pid) for pid in range(1, MOST_ATTEMPTS + 3)), sessions=sessions)
    assert list(sessions.attempts) == list(range(3, MOST_ATTEMPTS + 3))


ENTRY = {
    "SYSLOG_IDENTIFIER": "sshd",
    "_PID": "98",
    "_UID": "0",
    "_BOOT_ID": BOOT,
    "__REALTIME_TIMESTAMP": str(START),
    "MESSAGE": "hi",
}


@pytest.mark.parametrize(
    ("change", "text"), [({}, "hi"), ({"MESSAGE": [104, 255, 105]}, "h\ufffdi")], ids=["text", "bytes"]
)
def test_an_entry_of_journald_is_a_line(change: dict[str, Any], text: str) -> None:
    assert line_of(ENTRY | change) == Line("sshd", 98, 0, BOOT, START, text)


@pytest.mark.parametrize("name", ["_PID", "_UID", "_BOOT_ID", "__REALTIME_TIMESTAMP"])
def test_what_journald_vouches_for_must_be_there(name: str) -> None:
    assert line_of({key: value for key, value in ENTRY.items() if key != name}) is None
