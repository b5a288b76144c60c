# SPDX-License-Identifier: Apache-2.0
"""Say what opens this machine's doors, in the words of sshd: what may be read from files at every login.

https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .keys import Key, parse

BASTION = "bastion"
SHELL_ONLY = "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc"
NO_COMMAND = 'command="/usr/sbin/nologin"'
_WHO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is that a class's machines reach."""

    reader: str
    writer: str
    port: int


@dataclass(frozen=True, slots=True)
class Known:
    """What a machine has learned about who may come in.

    Attributes:
        authority: The line of the key that signs certificates; empty when there is none.
        keys: People's own keys, as they were kept, by name.
        blocked: Names that are kept out.
    """

    environment: str
    server_class: str
    authority: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()
    database: Database | None = None

    def to_json(self) -> str:
        """Return it as text that `from_json` reads."""
        return json.dumps({**asdict(self), "blocked": sorted(self.blocked)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Known:
        """Return what a text of `to_json` tells.

        Raises:
            ValueError, KeyError, TypeError: It is none.
        """
        values: dict[str, Any] = json.loads(text)
        database = Database(**values["database"]) if values["database"] else None
        return cls(**{**values, "blocked": frozenset(values["blocked"]), "database": database})


def database_of(text: str) -> Database | None:
    """Return what a class's parameter says about the database, or None if nothing can be made of it."""
    try:
        values = json.loads(text)
        found = Database(values["reader"], values["writer"], int(values["port"]))
    except (ValueError, KeyError, TypeError):
        return None
    is_sound = all(isinstance(host, str) and _HOST.fullmatch(host) for host in (found.reader, found.writer))
    return found if is_sound and found.port in _PORTS else None


def valid_keys(known: Known) -> dict[str, Key]:
    """Return the keys that come in, by name: neither broken nor of somebody who is kept out."""
    parsed = {who: parse(text) for who, text in known.keys.items() if _WHO.fullmatch(who)}
    return {who: key for who, key in sorted(parsed.items()) if key and who not in known.blocked}


def files(known: Known) -> dict[str, str]:
    """Return the files that sshd and its programs read."""
    keys = valid_keys(known)
    options = _key_options(known)
    return {
        "authority": f"{known.authority}\n" if known.authority else "",
        "principals": "".join(f"{line}\n" for line in principals(known)),
        "keys": "".join(f"{options} {key}\n" for key in keys.values()),
        "blocked": "".join(f"{who}\n" for who in sorted(known.blocked)),
    }


def principals(known: Known) -> list[str]:
    """Return the lines of the machine's doors: what a certificate must name, and what it then opens."""
    prefix = f"{known.environment}/{known.server_class}"
    lines = [f"{SHELL_ONLY} {prefix}/shell"]
    if known.server_class == BASTION:
        lines.append(f'restrict,port-forwarding,permitopen="*:22",{NO_COMMAND} {prefix}/jump')
    if known.database:
        for door, host in (("reader", known.database.reader), ("writer", known.database.writer)):
            opens = f'permitopen="{host}:{known.database.port}"'
            lines.append(f"restrict,port-forwarding,{opens},{NO_COMMAND} {prefix}/{door}")
    return lines


def _key_options(known: Known) -> str:
    """Return what people's own keys open: the shell, and on where the machine's class leads."""
    if known.server_class == BASTION:
        targets = ["*:22"]
    elif known.database:
        hosts = (known.database.reader, known.database.writer)
        targets = [f"{host}:{known.database.port}" for host in dict.fromkeys(hosts)]
    else:
        return "restrict,pty"
    return ",".join(["restrict,pty,port-forwarding", *(f'permitopen="{target}"' for target in targets)])
