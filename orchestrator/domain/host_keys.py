# SPDX-License-Identifier: Apache-2.0
"""Host keys that a machine wrote to its console at boot; EC2 vouches for what a console shows."""

from __future__ import annotations

import base64
import binascii
import re

_BEGIN = "-----BEGIN SSH HOST KEY KEYS-----"
_END = "-----END SSH HOST KEY KEYS-----"
# A line of the console may begin with what the kernel or a logger puts before it.
_KEY = re.compile(r"\b(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+={0,2})")


def host_keys_in_console(console: str) -> tuple[str, ...]:
    """Return the keys of the last complete block as `ssh-ed25519 AAAA...` lines, none while there is none.

    The last one, because a machine that made its keys anew has written more than one; a block without an end
    is still being written.
    """
    end = console.rfind(_END)
    begin = console.rfind(_BEGIN, 0, max(end, 0))
    if begin < 0:
        return ()
    found = _KEY.findall(console[begin:end])
    return tuple(dict.fromkeys(f"{kind} {key}" for kind, key in found if _is_of_kind(kind, key)))


def _is_of_kind(kind: str, key: str) -> bool:
    """Tell whether the key is whole: its own first field repeats its kind."""
    try:
        blob = base64.b64decode(key, validate=True)
    except binascii.Error:
        return False
    return blob.startswith(len(kind).to_bytes(4, "big") + kind.encode())
