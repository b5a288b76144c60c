# SPDX-License-Identifier: Apache-2.0
"""The commands about keys: from what was typed and the files it names, by the workflows, to what is shown."""

from __future__ import annotations

import base64
import binascii
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from orchestrator.commands.key_words import KeyWords
from orchestrator.commands.stacks import DEFAULT_ENVIRONMENT, Place, Show
from orchestrator.config.loader import load_environment
from orchestrator.domain.ssh_key import PublicKey, parse_public_key
from orchestrator.errors import ConfigError, Refused

if TYPE_CHECKING:
    from orchestrator.config.models import Environment
    from orchestrator.workflows.doors.world import DoorWorld

STDIN = "-"
DEFAULT_KEY = "~/.ssh/id_ed25519.pub"
# OpenSSH reads no longer lines.
_MOST_BYTES = 65536
_CERTIFICATE_MODE = 0o644

Join = Callable[["Environment", str], "DoorWorld"]


@dataclass(frozen=True, slots=True)
class KeyDesk:
    """Where commands work: the project, the way into AWS, and where results go."""

    place: Place
    join: Join
    show: Show

    def open(self, environment: str, verb: str) -> DoorWorld:
        """Return an environment's world."""
        name = environment or DEFAULT_ENVIRONMENT
        found = load_environment(self.place.project, name, endpoint_port=self.place.endpoint_port)
        return self.join(found, verb)


def run(desk: KeyDesk, verb: str, words: KeyWords) -> None:
    """Do what a command about keys says."""
    _ACTIONS[verb](desk.open(words.environment, f"keys.{verb}"), desk, words)


def _add(world: DoorWorld, desk: KeyDesk, words: KeyWords) -> None:
    from orchestrator.workflows import keys  # noqa: PLC0415

    keys.check_name("keys.add", world.environment.name, words.name)
    if not words.key:
        raise ConfigError("keys.add", ("keys.add: --key is missing: a file, or - for standard input",))
    public = read_key(_path(words.key, desk.place.environ))
    change = keys.add(world, words.name, public, is_replaced=words.is_replaced)
    desk.show(change.as_dict(), change.lines())


def _remove(world: DoorWorld, desk: KeyDesk, words: KeyWords) -> None:
    from orchestrator.workflows import keys  # noqa: PLC0415

    change = keys.remove(world, words.name, is_confirmed=words.is_confirmed)
    desk.show(change.as_dict(), change.lines())


def _unblock(world: DoorWorld, desk: KeyDesk, words: KeyWords) -> None:
    from orchestrator.workflows import keys  # noqa: PLC0415

    change = keys.unblock(world, words.name)
    desk.show(change.as_dict(), change.lines())


def _list(world: DoorWorld, desk: KeyDesk, _words: KeyWords) -> None:
    from orchestrator.workflows import keys  # noqa: PLC0415

    ring = keys.look(world)
    desk.show(ring.as_dict(), ring.lines())


def _sign(world: DoorWorld, desk: KeyDesk, words: KeyWords) -> None:
    from orchestrator.workflows import sign_key  # noqa: PLC0415

    request = sign_key.SignRequest(words.hours, words.fleets, words.door)
    path = _path(words.key or DEFAULT_KEY, desk.place.environ)
    target = _path(words.output, desk.place.environ) if words.output else certificate_path(path)
    public = read_key(path)
    sign_key.openings(world.environment, request)
    _guard_foreign(target, world, is_chosen=bool(words.output))
    with _replacing(target) as file:
        signed = sign_key.sign(world, public, request, is_confirmed=words.is_confirmed)
        file.write(f"{signed.certificate}\n")
    lines = (
        f"{target} opens until {signed.valid_until}:",
        *(f"  {each}" for each in signed.principals),
        f"it is {signed.key_id} in records; ssh-keygen -L -f {target} shows it",
    )
    desk.show({**signed.as_dict(), "file": str(target)}, lines)


_ACTIONS = {"add": _add, "remove": _remove, "unblock": _unblock, "list": _list, "sign": _sign}


def read_key(path: Path) -> PublicKey:
    """Return the public key in a file, or on standard input.

    Raises:
        ConfigError: There is none.
    """
    source = "standard input" if str(path) == STDIN else str(path)
    try:
        if str(path) == STDIN:
            body = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with path.open("rb") as file:
                body = file.read(_MOST_BYTES + 1)
    except OSError as error:
        advice = "make a key: ssh-keygen -t ed25519, or name another: --key FILE"
        raise ConfigError("public key", (f"{source}: {error.strerror}",), next_command=advice) from error
    if len(body) > _MOST_BYTES:
        raise ConfigError("public key", (f"{source}: is longer than any key",))
    return parse_public_key(body.decode("utf-8", "replace"), source=source)


def certificate_path(key: Path) -> Path:
    """Return where ssh looks for a key's certificate.

    Raises:
        ConfigError: The key has no file.
    """
    if str(key) == STDIN:
        raise ConfigError("keys.sign", ("keys.sign: --output is missing: the key has no file of its own",))
    return key.with_name(f"{key.name.removesuffix('.pub')}-cert.pub")


def _path(text: str, environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME", "")
    return Path(home, text[2:]) if home and text.startswith("~/") else Path(text)


def _guard_foreign(target: Path, world: DoorWorld, *, is_chosen: bool) -> None:
    """Refuse to write over what another authority signed, which nobody here could give back."""
    if is_chosen or not target.exists():
        return
    try:
        authority = parse_public_key(world.authority.public_key(), source="authority")
        is_ours = authority.blob in base64.b64decode(target.read_text("utf-8").split()[1], validate=True)
    except (OSError, ValueError, IndexError, binascii.Error):
        is_ours = False
    if not is_ours:
        raise Refused(
            f"keys.sign {target}",
            f"the file is no certificate of {world.environment.name}",
            next_command="the same with --output FILE, and then ssh -o CertificateFile=FILE",
        )


@contextmanager
def _replacing(target: Path) -> Iterator[TextIO]:
    """Give a file to write that takes the target's place when the block ends: ssh never reads half of it."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise ConfigError("output", (f"{target}: {error.strerror}",)) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, _CERTIFICATE_MODE)
            yield file
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
