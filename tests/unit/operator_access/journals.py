# SPDX-License-Identifier: Apache-2.0
"""Lines as Debian 12's sshd (OpenSSH 9.2) and the role's own program write them into the journal."""

from __future__ import annotations

from operator_access.sessions import Line

BOOT = "5f6c0e0f5b4e4a3d8f0a6d2c1b3e4f50"
START = 1_800_000_000_000_000  # 2027-01-15T08:00:00Z
KEY = "SHA256:iQP2Z6SF/M0MOPy40G04RtzzjLjplKBAw9xVIoicmLI"
AUTHORITY = "CA RSA SHA256:+WipR68fXfA/tE48u5450QiOP3GS2bXA9+PqDr6ozWE"
SERIAL = "1234567890123456789"


def line(
    text: str, *, pid: int = 98, at: float = 0.0, uid: int = 0, identifier: str = "sshd", boot: str = BOOT
) -> Line:
    """Return a line of the journal, so many seconds after the start."""
    return Line(identifier, pid, uid, boot, START + round(at * 1e6), text)


def certificate(key_id: str = "ada/shell/abc123") -> str:
    """Return how sshd shows a certificate."""
    return f"ED25519-CERT {KEY} ID {key_id} (serial {SERIAL}) {AUTHORITY}"


def connection(pid: int = 98, at: float = 0.0) -> Line:
    """Return the first line of a connection."""
    return line('Connection from 198.18.0.7 port 43062 on 10.0.0.4 port 22 rdomain ""', pid=pid, at=at)


def login(key: str = "", *, pid: int = 98, at: float = 0.0) -> list[Line]:
    """Return the lines of a login."""
    key = key or certificate()
    texts = (
        f"Accepted publickey for admin from 198.18.0.7 port 43062 ssh2: {key}",
        "pam_unix(sshd:session): session opened for user admin(uid=1000) by (uid=0)",
        f"User child is on pid {pid + 15}",
    )
    return [connection(pid, at), *(line(text, pid=pid, at=at) for text in texts)]


def logout(*, pid: int = 98, at: float = 0.0, sent: int = 6097, received: int = 2008658) -> list[Line]:
    """Return the lines of a session that ends in good order."""
    said = f"session {pid} sent {sent} received {received}"
    return [
        line("Disconnected from user admin 198.18.0.7 port 43062", pid=pid + 15, uid=1000, at=at),
        line(said, pid=pid + 20, identifier="slipway-session-bytes", at=at),
        line("pam_unix(sshd:session): session closed for user admin", pid=pid, at=at),
    ]


def attempt(*texts: str, pid: int = 98, at: float = 0.0) -> list[Line]:
    """Return the lines of a connection that never becomes a session."""
    gone = "Connection closed by authenticating user admin 198.18.0.7 port 43062 [preauth]"
    return [connection(pid, at), *(line(text, pid=pid, at=at) for text in (*texts, gone))]
