# SPDX-License-Identifier: Apache-2.0
"""Public keys of people, as lines of OpenSSH: what may come in, and what they are known by. Pure.

Only types that machines take: their sshd is set up as the hardening guides say, which leave ECDSA out.
https://www.rfc-editor.org/rfc/rfc4253#section-6.6, and of OpenSSH PROTOCOL.u2f
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.errors import ConfigError

COMMENT_LENGTH = 64
_LEAST_RSA_BITS, _MOST_RSA_BITS = 3072, 16384
_ED25519_BYTES = 32
_CERTIFICATE = "-cert-v01@openssh.com"
# What a comment may not hold: it is kept in parameters, and shown in tables and logs.
_STRANGE = re.compile(r"[^A-Za-z0-9 ._@+:/=-]+")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that may open doors.

    Attributes:
        kind: As OpenSSH writes it: `ssh-ed25519`.
        blob: As it goes over the wire; its first field repeats the kind.
        description: For people: `ed25519`, `rsa 4096`.
    """

    kind: str
    blob: bytes
    description: str
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """Return what sshd's log and `ssh-keygen -l` call the key."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return f"SHA256:{digest.rstrip('=')}"

    def __str__(self) -> str:
        words = (self.kind, base64.b64encode(self.blob).decode(), self.comment)
        return " ".join(word for word in words if word)


def parse_public_key(text: str, *, source: str) -> PublicKey:
    """Return the key that a text of one line holds.

    Args:
        source: Where the text is from, for messages.

    Raises:
        ConfigError: It is none, or none that may open doors. The message never repeats the text.
    """
    try:
        return _parse(text)
    except _NoKeyError as error:
        advice = "choose the file that ends in .pub, or make a key: ssh-keygen -t ed25519"
        raise ConfigError("public key", (f"{source}: {error}",), next_command=advice) from None


class _NoKeyError(ValueError):
    """Why a text is no key that may open doors."""


def _parse(text: str) -> PublicKey:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    _check_text(lines)
    kind, *rest = lines[0].split(maxsplit=2)
    _check_kind(kind, lines[0])
    if not rest:
        raise _NoKeyError("the key ends after its type")
    blob = _decoded(rest[0])
    fields = _fields(blob)
    if fields[0] != kind.encode():
        raise _NoKeyError("the key is of another type than its line says")
    try:
        description = _CHECKS[kind](*fields[1:])
    except TypeError:
        raise _NoKeyError("the key is broken: it has not the fields of its type") from None
    comment = _STRANGE.sub(" ", rest[1]).strip()[:COMMENT_LENGTH].strip() if len(rest) > 1 else ""
    return PublicKey(kind, blob, description, comment)


def _check_text(lines: list[str]) -> None:
    if not lines:
        raise _NoKeyError("there is no key in it")
    if any("PRIVATE KEY" in line or line.startswith("PuTTY-User-Key-File") for line in lines):
        raise _NoKeyError("that is a private key, which must never leave its owner's machine")
    if lines[0].startswith("---- BEGIN SSH2"):
        raise _NoKeyError("the key is not in OpenSSH's format; ssh-keygen -i -f FILE turns it into that")
    if len(lines) > 1:
        raise _NoKeyError(f"one key in one line is needed, there are {len(lines)} lines")


def _check_kind(kind: str, line: str) -> None:
    if kind in _CHECKS:
        return
    if kind.endswith(_CERTIFICATE):
        raise _NoKeyError("that is a certificate; the key that it is for is needed")
    if kind == "ssh-dss":
        raise _NoKeyError("DSA keys are too weak, machines take none")
    if kind.startswith(("ecdsa-sha2-", "sk-ecdsa-sha2-")):
        raise _NoKeyError("machines take no ECDSA keys, only ed25519 and RSA")
    if any(word in _CHECKS for word in line.split()):
        raise _NoKeyError("options before the key are not taken: machines set their own")
    raise _NoKeyError(f"the line must begin with a type of key, one of {', '.join(_CHECKS)}")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _NoKeyError("the key is broken: its base64 can't be read") from None


def _fields(blob: bytes) -> list[bytes]:
    """Return the strings that a key consists of."""
    fields = []
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        if len(blob) < max(end, 4):
            raise _NoKeyError("the key is broken: it is cut off")
        fields.append(blob[4:end])
        blob = blob[end:]
    return fields or [b""]


def _ed25519(point: bytes) -> str:
    if len(point) != _ED25519_BYTES:
        raise _NoKeyError("the key is broken: it has not the length of its type")
    return "ed25519"


def _rsa(exponent: bytes, modulus: bytes) -> str:
    e, n = int.from_bytes(exponent, "big", signed=True), int.from_bytes(modulus, "big", signed=True)
    if e < 3 or not e % 2 or n < 0 or not n % 2:  # noqa: PLR2004 - the least odd exponent
        raise _NoKeyError("the key is broken: its numbers are none of RSA")
    bits = n.bit_length()
    if not _LEAST_RSA_BITS <= bits <= _MOST_RSA_BITS:
        raise _NoKeyError(f"RSA keys must have {_LEAST_RSA_BITS} to {_MOST_RSA_BITS} bits, this has {bits}")
    return f"rsa {bits}"


def _sk_ed25519(point: bytes, application: bytes) -> str:
    """Check a key on a security token, which tells keys of ssh from others by their application."""
    if not application.startswith(b"ssh:"):
        raise _NoKeyError("the security token's key was not made for ssh")
    return f"{_ed25519(point)} on a token"


_CHECKS: dict[str, Callable[..., str]] = {
    "ssh-ed25519": _ed25519,
    "sk-ssh-ed25519@openssh.com": _sk_ed25519,
    "ssh-rsa": _rsa,
}
