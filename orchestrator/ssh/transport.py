# SPDX-License-Identifier: Apache-2.0
"""One attempt at an ssh connection. The host key is compared before anything is said about who we are."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramiko import Transport

_KEEPALIVE_S = 15
# Authenticated ciphers first: several times faster than AES-CTR with a MAC computed in Python.
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
_DIGESTS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")

# The library logs each refused attempt with a traceback; all that matters comes as an exception.
logging.getLogger(f"{__name__}.library").addHandler(logging.NullHandler())
logging.getLogger(f"{__name__}.library").propagate = False


class Unacceptable(Exception):
    """No further attempt can help: another host key, no common algorithm, or no usable key of ours."""


def open_transport(
    target: tuple[str, int], *, user: str, private_key: Path, host_keys: Sequence[str], timeout_s: float
) -> Transport:
    """Connect once and log in.

    Raises:
        Unacceptable: The machine is not the one expected, or can't be talked to.
        OSError, EOFError, SSHException: Not yet; it may go better the next time.
    """
    from paramiko import Transport  # noqa: PLC0415 - most commands open no shell
    from paramiko.ssh_exception import IncompatiblePeer  # noqa: PLC0415

    expected = {tuple(line.split()[:2]) for line in host_keys}
    transport = Transport(socket.create_connection(target, timeout=timeout_s))
    try:
        transport.set_log_channel(f"{__name__}.library")
        restrict(transport, sorted({kind for kind, _ in expected}))
        transport.banner_timeout = transport.auth_timeout = timeout_s
        transport.start_client(timeout=timeout_s)
        check_host_key(transport, expected)
        _log_in(transport, user, private_key)
        transport.set_keepalive(_KEEPALIVE_S)
    except IncompatiblePeer as exc:
        transport.close()
        raise Unacceptable(f"no way to talk to it: {exc}") from exc
    except BaseException:
        transport.close()
        raise
    return transport


def restrict(transport: Transport, kinds: Sequence[str]) -> None:
    """Offer strong algorithms only, and only kinds of host keys that we could recognise."""
    options = transport.get_security_options()
    options.ciphers = _CIPHERS
    options.digests = _DIGESTS
    options.key_types = tuple(
        name for kind in kinds for name in (_RSA_SIGNATURES if kind == "ssh-rsa" else (kind,))
    )


def check_host_key(transport: Transport, expected: set[tuple[str, ...]]) -> None:
    key = transport.get_remote_server_key()
    if (key.get_name(), key.get_base64()) not in expected:
        raise Unacceptable(f"it shows another host key than expected: {key.get_name()} {key.fingerprint}")


def _log_in(transport: Transport, user: str, private_key: Path) -> None:
    from paramiko import Ed25519Key, SSHException  # noqa: PLC0415 - as above

    try:
        key = Ed25519Key.from_private_key_file(str(private_key))
    except (OSError, SSHException) as exc:
        raise Unacceptable(f"our key {private_key.name} can't be used: {exc}") from exc
    transport.auth_publickey(user, key)
