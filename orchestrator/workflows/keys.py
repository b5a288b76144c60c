# SPDX-License-Identifier: Apache-2.0
"""Let people's own keys in, and keep people out: machines read both from parameters once a minute.

What is asked for twice is done once. What opens doors comes last when somebody is let in, and what shuts them
comes first when he is kept out: a command that is killed in between leaves doors shut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.domain.door import WHO, blocked_path, keys_path, known_as
from orchestrator.domain.key_ring import KeyRing, KnownKey, moment, stored_key
from orchestrator.domain.ssh_key import PublicKey
from orchestrator.errors import AwsError, ConfigError, Refused
from orchestrator.workflows.account import guard_account
from orchestrator.workflows.doors.world import DoorWorld

WITHIN = "machines know it within a minute"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What became of a name.

    Attributes:
        event: `key-added`, `key-removed` or `key-unblocked`; empty when all was so already.
    """

    event: str
    name: str
    fingerprint: str
    text: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {"event": self.event, "name": self.name, "fingerprint": self.fingerprint}

    def lines(self) -> tuple[str, ...]:
        """Return it as an operator reads it."""
        return self.text


def look(world: DoorWorld) -> KeyRing:
    """Return whose keys are let in and who is kept out."""
    guard_account(world.environment, world.identity)
    return _ring(world)


def add(world: DoorWorld, name: str, key: PublicKey, *, is_replaced: bool = False) -> KeyChange:
    """Let a person's own key in, and the person, if he was kept out.

    Raises:
        ConfigError: The name is none.
        Refused: The name has another key, or the key another name.
    """
    check_name("keys.add", world.environment.name, name)
    guard_account(world.environment, world.identity)
    ring = _ring(world)
    known = ring.keys.get(name)
    _check_owner(world, name, key, ring.owner_of(key))
    has_it = known is not None and known.key is not None and known.key.blob == key.blob
    if has_it and name not in ring.blocked:
        return KeyChange("", name, key.fingerprint, (f"{name} has that key already",))
    if known is not None and not has_it and not is_replaced:
        raise _other_key(world, known, key)
    with _recorded(world, "key-added", name, key.fingerprint):
        if not has_it:
            _write(world, KnownKey(name, key, moment(world.clock.now())), is_new=known is None)
        world.parameters.delete([f"{blocked_path(world.environment.name)}/{name}"])
    said = [f"{name} is let in with {key.description} {key.fingerprint}: {WITHIN}"]
    said += (
        [f"{name} was blocked since {ring.blocked[name]}, and no longer is"] if name in ring.blocked else []
    )
    return KeyChange("key-added", name, key.fingerprint, tuple(said))


def remove(world: DoorWorld, name: str, *, is_confirmed: bool) -> KeyChange:
    """Keep a person out: his key, his certificates, and the sessions that he has.

    Raises:
        ConfigError: The name is none.
        Refused: The environment is protected, and it was not confirmed.
    """
    environment = world.environment.name
    check_name("keys.remove", environment, name)
    if world.environment.protected and not is_confirmed:
        raise Refused(
            f"keys.remove {name}",
            f"{environment} is protected, and {name}'s sessions would end",
            next_command=f"invoke keys.remove --environment {environment} --name {name} --yes",
        )
    guard_account(world.environment, world.identity)
    ring = _ring(world)
    known = ring.keys.get(name)
    if known is None and name in ring.blocked:
        return KeyChange("", name, "", (f"{name} is blocked since {ring.blocked[name]}",))
    fingerprint = known.key.fingerprint if known and known.key else ""
    with _recorded(world, "key-removed", name, fingerprint):
        world.parameters.create(f"{blocked_path(environment)}/{name}", moment(world.clock.now()))
        world.parameters.delete([f"{keys_path(environment)}/{name}"])
    said = f"{name}'s key {fingerprint}".rstrip() + " is gone" if known else f"{name} had no key here"
    return KeyChange(
        "key-removed",
        name,
        fingerprint,
        (
            f"{said}; {name} is blocked: {WITHIN}",
            f"certificates whose key id begins with {name}/ are refused then, and {name}'s sessions end",
        ),
    )


def unblock(world: DoorWorld, name: str) -> KeyChange:
    """Let a person's certificates in again, without a key of his own.

    Raises:
        ConfigError: The name is none.
    """
    check_name("keys.unblock", world.environment.name, name)
    guard_account(world.environment, world.identity)
    since = blocked_since(world, name)
    if not since:
        return KeyChange("", name, "", (f"{name} is not blocked",))
    with _recorded(world, "key-unblocked", name, ""):
        world.parameters.delete([f"{blocked_path(world.environment.name)}/{name}"])
    return KeyChange(
        "key-unblocked", name, "", (f"{name} was blocked since {since}, and no longer is: {WITHIN}",)
    )


def blocked_since(world: DoorWorld, name: str) -> str:
    """Return since when somebody is kept out, empty for nobody."""
    path = f"{blocked_path(world.environment.name)}/{name}"
    return world.parameters.get([path]).get(path, "")


def check_name(verb: str, environment: str, name: str) -> None:
    """Refuse a name that machines can't know.

    Raises:
        ConfigError: It is empty, or has letters that names of parameters can't have.
    """
    if WHO.fullmatch(name):
        return
    if not name:
        raise ConfigError(verb, (f"{verb}: --name is missing",))
    problem = f"{verb}: --name {name!r}: letters, digits and . _ - only, at most 64, a letter or digit first"
    again = f"invoke {verb} --environment {environment} --name {known_as(name)}"
    raise ConfigError(verb, (problem,), next_command=f"{again}, as certificates call that person")


def write_record(world: DoorWorld, event: str, facts: Mapping[str, object]) -> None:
    """Tell the audit trail what was done about keys."""
    now = world.clock.now()
    record = {
        "session": world.run_id,
        "event": event,
        "environment": world.environment.name,
        "who": world.who,
        "operator": world.operator,
        "at": moment(now),
        **facts,
    }
    world.audit.write(record, key=f"{now:%Y/%m/%d}/operators-{world.run_id}-{event}.json")


@contextmanager
def _recorded(world: DoorWorld, event: str, name: str, fingerprint: str) -> Iterator[None]:
    """Tell the audit trail of what the block did; whoever did it must know when that failed."""
    yield
    try:
        write_record(world, event, {"name": name, "key_fingerprint": fingerprint})
    except AwsError as error:
        found = error.state or "it is not in the records"
        error.state = f"it is done ({event} {name}), but {found}: tell who keeps them"
        raise


def _ring(world: DoorWorld) -> KeyRing:
    keys = world.parameters.below(keys_path(world.environment.name))
    blocked = world.parameters.below(blocked_path(world.environment.name))
    return KeyRing({name: stored_key(name, value) for name, value in keys.items()}, dict(blocked))


def _check_owner(world: DoorWorld, name: str, key: PublicKey, owner: str) -> None:
    """Refuse a key under a second name: its sessions would be told of one person, and removed for one."""
    if owner in ("", name):
        return
    environment = world.environment.name
    raise Refused(
        f"keys.add {name}",
        f"{key.fingerprint} is {owner}'s key already",
        next_command=f"invoke keys.remove --environment {environment} --name {owner}, if {owner} is to go",
    )


def _other_key(world: DoorWorld, known: KnownKey, key: PublicKey) -> Refused:
    has = known.key.fingerprint if known.key else "a broken one"
    return Refused(
        f"keys.add {known.name}",
        f"{known.name} has another key in {world.environment.name}: {has}, not {key.fingerprint}",
        next_command="the same with --replace, if the old one is to go",
    )


def _write(world: DoorWorld, known: KnownKey, *, is_new: bool) -> None:
    path = f"{keys_path(world.environment.name)}/{known.name}"
    if not is_new:
        world.parameters.put(path, known.value)
    elif not world.parameters.create(path, known.value):
        raise Refused(f"keys.add {known.name}", "somebody added a key of that name just now")
