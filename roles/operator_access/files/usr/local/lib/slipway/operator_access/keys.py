# SPDX-License-Identifier: Apache-2.0
"""Public keys as lines of OpenSSH: of the authority, of people, of this machine."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path

HOST_KEYS = ("ssh_host_ed25519_key.pub", "ssh_host_rsa_key.pub")
# What this server's settings take.
KINDS = ("ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ssh-rsa")
_RSA = bytes.fromhex("06092a864886f70d010101")  # the object identifier rsaEncryption


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, as `ssh-ed25519 AAAA...` without a comment."""

    kind: str
    base64: str

    def __str__(self) -> str:
        return f"{self.kind} {self.base64}"

    @property
    def fingerprint(self) -> str:
        """Return what sshd's log calls the key."""
        digest = hashlib.sha256(base64.b64decode(self.base64)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def parse(text: str) -> Key | None:
    """Return the key of a line `type base64 comment`, or None if it is none that may come in.

    Options before a key are not taken: what a key opens is this machine's to say.
    """
    words = text.split()
    if len(words) < 2 or words[0] not in KINDS or len(text.splitlines()) != 1:  # noqa: PLR2004
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Key(words[0], words[1]) if blob.startswith(_string(words[0].encode())) else None


def host_keys(directory: Path = Path("/etc/ssh")) -> str:
    """Return the lines of the machine's own keys, without comments, the shortest first."""
    lines = [(directory / name).read_text().split()[:2] for name in HOST_KEYS if (directory / name).exists()]
    return "\n".join(" ".join(words) for words in lines)


def from_subject_public_key_info(der: bytes) -> Key:
    """Return an RSA key as KMS gives it.

    https://www.rfc-editor.org/rfc/rfc5280#section-4.1 and https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.1

    Raises:
        ValueError: It is none.
    """
    algorithm, bits = _sequence(_only(_sequence(der)))
    if not algorithm.startswith(_RSA):
        raise ValueError("the authority's key is none of RSA")
    modulus, exponent = _sequence(_only(_sequence(bits[1:])))
    blob = _string(b"ssh-rsa") + _string(exponent) + _string(modulus)
    return Key("ssh-rsa", base64.b64encode(blob).decode())


def _sequence(data: bytes) -> list[bytes]:
    """Return the contents of the values that stand one after the other."""
    values = []
    while data:
        length, start = data[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            raise ValueError("the key is cut off")
        values.append(data[start : start + length])
        data = data[start + length :]
    return values


def _only(values: list[bytes]) -> bytes:
    if len(values) != 1:
        raise ValueError("the key is not what was expected")
    return values[0]


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
