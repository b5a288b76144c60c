# SPDX-License-Identifier: Apache-2.0
"""What plain ssh, and all that stands on it, is told of an environment's machines. Pure.

A small file that never changes asks a script to bring the rest up to date, and then includes it: ssh reads an
included file when it comes to its line, so the first connection after a change already knows of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from orchestrator.ports import Hop
from orchestrator.tools.openssh import CERTIFICATE, KEY, KNOWN_HOSTS, STRICT, block, known_hosts

CONFIG, HOSTS, SCRIPT = "config", "hosts", "refresh"
INCLUDE = "Include slipway/*/config"
_BASTION = "bastion"
_PERSIST = "5m"
# Linux takes 107 bytes and macOS 103; ssh adds 17 of its own while it makes one.
_LONGEST_SOCKET = 86
# OpenSSH would read more than a name in them.
STRANGE = frozenset("\"'%$\\\n\t\r*?")


def config(folder: Path, environment: str) -> str:
    """Return the file that ssh's own configuration includes."""
    ours = f"originalhost *.{environment}"
    refresh = f'Match {ours} exec "sh {shlex.quote(str(folder / SCRIPT))}"\n'
    return "\n".join(
        (
            f"# Written by invoke ssh-config --environment {environment}.",
            "# A minute after the last look, the next connection looks for new machines first.",
            refresh,
            block(f"Match {ours}", {"Include": _quoted(folder / HOSTS)}),
        )
    )


def hosts(folder: Path, environment: str, bastion: Hop, machines: Mapping[str, Hop]) -> str:
    """Return the blocks of an environment's machines, `api-1.sandbox`."""
    gate = f"{_BASTION}.{environment}"
    shared = {"UserKnownHostsFile": _quoted(folder / KNOWN_HOSTS), "IdentityAgent": "none"}
    login = {"IdentityFile": _quoted(folder / KEY), "CertificateFile": _quoted(folder / CERTIFICATE)}
    return "\n".join(
        (
            block(f"Host {gate}", _address(bastion) | _kept_open(folder, bastion)),
            *(
                block(f"Host {name}.{environment}", _address(hop) | {"ProxyJump": gate})
                for name, hop in machines.items()
            ),
            block(f"Host *.{environment}", shared | login | STRICT),
        )
    )


def pinned(bastion: Hop, machines: Mapping[str, Hop]) -> str:
    """Return the file of their host keys."""
    return known_hosts([bastion, *machines.values()])


def script(folder: Path, environment: str, inv: Path, environ: Mapping[str, str]) -> str:
    """Return the script that looks for changes, at most once a minute, however many connections ask at once.

    Args:
        inv: The project's program.
        environ: What it needs to find the same AWS again, whoever starts ssh.
    """
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environ.items()))
    return (
        f"#!/bin/sh\n"
        f"# Brings {environment}'s machines and the certificate up to date; quick when they are.\n"
        f"cd {shlex.quote(str(folder))} || exit 1\n"
        f'is_fresh() {{ [ -n "$(find {HOSTS} -mmin -1 2>/dev/null)" ]; }}\n'
        f"is_fresh && exit 0\n"
        f"# One looks, the others wait for it; a lock of one that was killed is broken.\n"
        f"find lock -prune -mmin +1 -exec rmdir {{}} \\; 2>/dev/null\n"
        f"turns=0\n"
        f"until mkdir lock 2>/dev/null; do\n"
        f"    turns=$((turns + 1))\n"
        f'    [ "$turns" -le 60 ] || exit 1\n'
        f"    sleep 0.5\n"
        f"    is_fresh && exit 0\n"
        f"done\n"
        f"trap 'rmdir lock' EXIT\n"
        f"trap 'exit 1' HUP INT TERM\n"
        f"is_fresh && exit 0\n"
        f"{exports}"
        f"{shlex.quote(str(inv))} ssh-config.refresh --environment {environment} --quiet\n"
    )


def with_include(text: str) -> str:
    """Return a configuration that includes ours, before its first block: one that does stays as it is."""
    if any(line.strip() == INCLUDE for line in text.splitlines()):
        return text
    return f"{INCLUDE}\n\n{text}" if text else f"{INCLUDE}\n"


def _address(hop: Hop) -> dict[str, str]:
    return {"HostName": hop.address, "Port": str(hop.port), "User": hop.user, "HostKeyAlias": hop.name}


def _kept_open(folder: Path, bastion: Hop) -> dict[str, str]:
    """Return what lets later connections through the first one's; nothing where the path is too long."""
    path = folder / bastion.name
    if len(str(path)) > _LONGEST_SOCKET:
        return {}
    return {"ControlMaster": "auto", "ControlPath": _quoted(path), "ControlPersist": _PERSIST}


def _quoted(path: Path) -> str:
    return f'"{path}"'
