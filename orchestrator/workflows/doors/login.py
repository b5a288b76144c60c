# SPDX-License-Identifier: Apache-2.0
"""Make what opens doors: a key that lives in memory, and a certificate for it that lives for minutes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.door import Door, KeyId, principal
from orchestrator.domain.ssh_key import parse_public_key
from orchestrator.ports import Login
from orchestrator.workflows.doors.world import DoorWorld

# Clocks of machines may differ from ours by so much.
CLOCK_SKEW = timedelta(minutes=1)
_SERIAL_BITS = 64
_EXTENSIONS = {Door.SHELL: "permit-pty"}
_FORWARDING = "permit-port-forwarding"


@dataclass(frozen=True, slots=True)
class Opening:
    """A door of a server class's machines."""

    server_class: str
    door: Door


@dataclass(frozen=True, slots=True)
class Pass:
    """A login, and what records say of it: sshd's log names certificate and key the same way."""

    login: Login
    key_id: KeyId
    serial: int
    fingerprint: str
    valid_before: datetime


def issue(
    world: DoorWorld, openings: Sequence[Opening], *, public_key: str = "", lifetime: timedelta | None = None
) -> Pass:
    """Return a pass for doors, of which the last is the one that records name.

    Args:
        public_key: Sign this one; empty for a new pair of keys.
        lifetime: From now; None for what the environment says.
    """
    now = world.clock.now()
    valid_before = now + (lifetime or timedelta(minutes=world.environment.access.certificate_minutes))
    key_id = KeyId(world.who, openings[-1].door, world.run_id)
    serial = secrets.randbits(_SERIAL_BITS)
    private_key = ""
    if not public_key:
        private_key, public_key = world.certificates.new_key_pair()
    certificate = world.certificates.certificate(
        public_key,
        key_id=str(key_id),
        principals=tuple(
            principal(world.environment.name, each.server_class, each.door) for each in openings
        ),
        serial=serial,
        valid_after=now - CLOCK_SKEW,
        valid_before=valid_before,
        extensions=extensions(tuple(each.door for each in openings)),
        authority=world.authority.public_key(),
        sign=world.authority.sign,
    )
    fingerprint = parse_public_key(public_key, source="public key").fingerprint
    return Pass(Login(private_key, certificate), key_id, serial, fingerprint, valid_before)


def extensions(doors: Sequence[Door]) -> tuple[str, ...]:
    """Return what a certificate for these doors permits, sorted, as OpenSSH wants it."""
    return tuple(sorted({_EXTENSIONS.get(door, _FORWARDING) for door in doors}))
