# SPDX-License-Identifier: Apache-2.0
"""Write values into an HAProxy configuration so that they mean themselves and nothing else."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[\w./:@+-]+", re.ASCII)
_FIT_FOR_QUOTES = re.compile(r"[^'\x00-\x1f\x7f]+")


def quoted(value: str) -> str:
    """Return the value as one word of a configuration line."""
    if _PLAIN.fullmatch(value):
        return value
    if _FIT_FOR_QUOTES.fullmatch(value):
        return f"'{value}'"
    return "".join(_escaped(byte) for byte in value.encode()) or "''"


def _escaped(byte: int) -> str:
    letter = chr(byte)
    return letter if letter.isascii() and (letter.isalnum() or letter in "-_./") else f"\\x{byte:02x}"


def literal(value: str) -> str:
    """Return a text for a place where HAProxy looks for %[...] and %variables."""
    return value.replace("%", "%%")


def wildcard(pattern: str, *, any_letter: str = ".") -> str:
    """Return the regular expression of AWS's wildcards: * is any number of letters, ? is one."""
    parts = {"*": f"{any_letter}*", "?": any_letter}
    return "".join(parts.get(letter, re.escape(letter)) for letter in pattern)
