# SPDX-License-Identifier: Apache-2.0
"""The command `ssh-config`: files that let plain ssh, and all that stands on it, through the same doors."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.commands.doors import join
from orchestrator.commands.stacks import DEFAULT_ENVIRONMENT, Place, Show
from orchestrator.config.loader import load_environment
from orchestrator.errors import ConfigError
from orchestrator.tools import openssh, openssh_config
from orchestrator.workflows.doors import host_book

if TYPE_CHECKING:
    from orchestrator.config.models import Environment
    from orchestrator.workflows.doors.host_book import HostBook
    from orchestrator.workflows.doors.world import DoorWorld

VERB = "ssh-config"
_PRIVATE, _PRIVATE_FOLDER, _PROGRAM = 0o600, 0o700, 0o700
# Whoever starts ssh may not have them: an editor, a cron job.
_PASSED_ON = ("AWS_PROFILE", "SLIPWAY_SANDBOX_PORT")


Join = Callable[["Environment", str], "DoorWorld"]


@dataclass(frozen=True, slots=True)
class ConfigDesk:
    """Where the commands work: the project, the way into AWS, and where results go."""

    place: Place
    join: Join
    show: Show


def open_desk(place: Place, show: Show) -> ConfigDesk:
    """Return a desk with a way into AWS."""
    return ConfigDesk(place, functools.partial(join, place), show)


def write(desk: ConfigDesk, environment: str, *, is_installed: bool) -> None:
    """Write all files of an environment; with `is_installed` ssh's own configuration includes them."""
    name, folder, world = _open(desk, environment)
    book = _bring_up_to_date(world, folder)
    environ = desk.place.environ
    passed_on = {key: value for key in _PASSED_ON if (value := environ.get(key))}
    program = openssh_config.script(folder, name, desk.place.project / "inv", passed_on)
    _put(folder / openssh_config.SCRIPT, program, mode=_PROGRAM)
    _put(folder / openssh_config.CONFIG, openssh_config.config(folder, name))
    config = folder.parents[1] / "config"
    if is_installed:
        _install(config)
    desk.show(
        _document(book, folder, config, is_installed=is_installed), _lines(book, folder, config, is_installed)
    )


def refresh(desk: ConfigDesk, environment: str) -> None:
    """Bring machines, host keys and the certificate up to date."""
    name, folder, world = _open(desk, environment)
    if not folder.exists():
        advice = f"invoke {VERB} --environment {name}"
        raise ConfigError(f"{VERB}.refresh", (f"{folder}: is not there",), next_command=advice)
    book = _bring_up_to_date(world, folder)
    lines = (f"{len(book.machines)} machines are in {folder / openssh_config.HOSTS}",)
    desk.show(_document(book, folder, None, is_installed=False), lines)


def _open(desk: ConfigDesk, environment: str) -> tuple[str, Path, DoorWorld]:
    """Return an environment's name, the folder of its files, and its world."""
    name, place = environment or DEFAULT_ENVIRONMENT, desk.place
    # Loaded first: the name becomes a part of a path.
    found = load_environment(place.project, name, endpoint_port=place.endpoint_port)
    home = place.environ.get("HOME", "")
    if not Path(home).is_absolute() or openssh_config.STRANGE & set(home):
        raise ConfigError(VERB, (f"HOME {home!r}: must be a path that ssh's configuration can hold",))
    return name, Path(home, ".ssh", "slipway", name), desk.join(found, VERB)


def _bring_up_to_date(world: DoorWorld, folder: Path) -> HostBook:
    """Write what changes, the hosts last: their age tells when all of it was written."""
    book = host_book.look(world)
    for each in (folder.parents[1], folder.parent, folder):
        each.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    signed = host_book.sign(world, _public_key(world, folder))
    _put(folder / openssh.CERTIFICATE, f"{signed.login.certificate}\n")
    _put(folder / openssh.KNOWN_HOSTS, openssh_config.pinned(book.bastion, book.machines))
    _put(
        folder / openssh_config.HOSTS,
        openssh_config.hosts(folder, book.environment, book.bastion, book.machines),
    )
    return book


def _public_key(world: DoorWorld, folder: Path) -> str:
    """Return the public half of the folder's own key, which is made once; it opens nothing by itself."""
    private, public = folder / openssh.KEY, folder / f"{openssh.KEY}.pub"
    if not (private.exists() and public.exists()):
        key, line = world.certificates.new_key_pair()
        _put(private, key)
        _put(public, f"{line}\n")
    return public.read_text("utf-8").strip()


def _install(config: Path) -> None:
    """Put our line at the top of ssh's own configuration, once."""
    config = config.resolve()  # a link stays one
    before = config.read_text("utf-8") if config.exists() else ""
    after = openssh_config.with_include(before)
    if after != before:
        mode = config.stat().st_mode & 0o777 if config.exists() else _PRIVATE
        _put(config, after, mode=mode)


def _put(path: Path, text: str, *, mode: int = _PRIVATE) -> None:
    """Write a file as a whole: who reads it meanwhile gets the old one or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.chmod(mode)  # whatever the umask
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _document(
    book: HostBook, folder: Path, config: Path | None, *, is_installed: bool
) -> Mapping[str, object]:
    names = {"bastion": book.bastion, **book.machines}
    return {
        "config": str(folder / openssh_config.CONFIG),
        "included_by": str(config) if config and is_installed else "",
        "hosts": [
            {"host": f"{name}.{book.environment}", "instance_id": hop.name, "address": hop.address}
            for name, hop in names.items()
        ],
    }


def _lines(book: HostBook, folder: Path, config: Path, is_installed: bool) -> tuple[str, ...]:
    names = ", ".join(f"{name}.{book.environment}" for name in ("bastion", *book.machines))
    advice = (
        f"{config} includes it"
        if is_installed
        else f"put this line at the top of {config}, or run it again with --install: {openssh_config.INCLUDE}"
    )
    return (f"{folder / openssh_config.CONFIG} knows {names}", advice)
