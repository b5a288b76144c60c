# SPDX-License-Identifier: Apache-2.0
"""What the system's OpenSSH is called with and told by files. Pure.

https://man.openbsd.org/ssh_config
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator.ports import Hop

KEY, CERTIFICATE, KNOWN_HOSTS, CONFIG = "id", "id-cert.pub", "known_hosts", "config"
_MASTER, _LOGS = "master", ".log"
# Machines greet on stderr, which belongs to the command; below this level ssh doesn't pass it on. What ended
# ssh, and whether it was the command, is logged all the same; before OpenSSH 8.5 it is not.
_WITHOUT_GREETING = {
    "LogLevel": "ERROR",
    "IgnoreUnknown": "LogVerbose",
    "LogVerbose": "clientloop.c:server_alive_check():*,clientloop.c:client_loop():*",
}
# Nobody is trusted but who published a key, nothing is asked, and nothing of ours goes along.
STRICT = {
    "StrictHostKeyChecking": "yes",
    "GlobalKnownHostsFile": "none",
    "UpdateHostKeys": "no",
    "CheckHostIP": "no",
    "VerifyHostKeyDNS": "no",
    "PreferredAuthentications": "publickey",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "IdentitiesOnly": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    # The quickest one first: processors have instructions for it.
    "Ciphers": "^aes128-gcm@openssh.com",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "3",
    "ServerAliveCountMax": "3",
}


def known_hosts(hops: Iterable[Hop]) -> str:
    """Return the file that pins machines' keys to their ids: addresses are given to other machines later."""
    return "".join(f"{each.name} {key}\n" for each in hops for key in each.host_keys)


def block(heading: str, options: Mapping[str, str]) -> str:
    """Return a block of a configuration: `Host a` and what holds for it."""
    return "".join((f"{heading}\n", *(f"    {name} {value}\n" for name, value in options.items())))


def config(folder: Path, hops: Sequence[Hop], *, bastion: Hop | None) -> str:
    """Return the configuration of one command, whose hosts are named by their instance ids.

    Args:
        folder: Private, with the files of a login; its path has no blanks.
        hops: What to connect to.
        bastion: What they are reached through; None if they are reached at once.
    """
    blocks = [block(f"Host {each.name}", _of_hop(folder, each, bastion)) for each in hops]
    if bastion:
        shared = {"ControlPath": str(folder / _MASTER)}
        blocks.append(block(f"Host {bastion.name}", _address(bastion) | shared))
    mine = {
        "UserKnownHostsFile": str(folder / KNOWN_HOSTS),
        "IdentityFile": str(folder / KEY),
        "CertificateFile": str(folder / CERTIFICATE),
        "IdentityAgent": "none",
        "BatchMode": "yes",
        # Goes to a file only. Tells whether somebody was let in, and what ended ssh.
        "LogLevel": "VERBOSE",
    }
    return "\n".join((*blocks, block("Host *", mine | STRICT)))


def master_argv(folder: Path, bastion: Hop) -> tuple[str, ...]:
    """Return the call that connects to a bastion and lets later calls go through the same connection."""
    return (*_ssh(folder, bastion), "-M", "-N", bastion.name)


def session_argv(folder: Path, hop: Hop, command: str = "") -> tuple[str, ...]:
    """Return the call that opens a shell, or runs a command, on a machine."""
    if not command:
        return (*_ssh(folder, hop), hop.name)
    options = (word for name, value in _WITHOUT_GREETING.items() for word in ("-o", f"{name}={value}"))
    return (*_ssh(folder, hop), *options, hop.name, "--", command)


def master_socket(folder: Path) -> Path:
    """Return what is there as soon as the bastion has let us in."""
    return folder / _MASTER


def log_of(folder: Path, hop: Hop) -> Path:
    """Return where ssh says what happened on the way to a machine: what the machine says stays apart."""
    return folder / f"{hop.name}{_LOGS}"


def _ssh(folder: Path, hop: Hop) -> tuple[str, ...]:
    return ("ssh", "-F", str(folder / CONFIG), "-E", str(log_of(folder, hop)))


def _address(hop: Hop) -> dict[str, str]:
    return {"HostName": hop.address, "Port": str(hop.port), "User": hop.user, "HostKeyAlias": hop.name}


def _of_hop(folder: Path, hop: Hop, bastion: Hop | None) -> dict[str, str]:
    if bastion is None:
        return _address(hop)
    through = (*_ssh(folder, hop), "-W", "[%h]:%p", bastion.name)
    return _address(hop) | {"ProxyCommand": " ".join(through)}
