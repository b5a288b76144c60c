# SPDX-License-Identifier: Apache-2.0
"""The composition root: makes invoke tasks of functions, and joins workflows with AWS, ssh and tools.

Everything heavy is imported when a command runs, so that `invoke --list` stays as quick as invoke itself.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.tasks import task

from orchestrator.errors import ConfigError, Refused, SlipwayError

if TYPE_CHECKING:
    from orchestrator.commands.key_words import KeyWords
    from orchestrator.commands.rollout_words import RolloutWords
    from orchestrator.commands.rollouts import Desk
    from orchestrator.commands.shell_words import ShellWords
    from orchestrator.commands.stacks import Place
    from orchestrator.commands.tunnel_words import TunnelWords
    from orchestrator.ports import Templates
    from orchestrator.workflows.world import World

PROJECT = Path(__file__).resolve().parents[1]
PORT_VARIABLE = "SLIPWAY_SANDBOX_PORT"
DEFAULT_PORT, LAST_PORT = 4566, 65535
INTERRUPTED = 130
TERMINATED = 143


@dataclass(frozen=True, slots=True)
class StackWords:
    """What an operator typed to say which stacks are meant."""

    network: str = ""
    environment: str = ""
    is_all: bool = False
    allowed: tuple[str, ...] = ()
    as_json: bool = False


class _Terminated(KeyboardInterrupt):
    """SIGTERM, so that it unwinds the same way as Ctrl-C."""


def command(
    body: Callable[..., None] | None = None, *, name: str | None = None, iterable: Sequence[str] = ()
) -> Any:
    """Make an invoke task of a function: errors become messages and exit codes, interrupts unwind."""
    if body is None:
        return functools.partial(command, name=name, iterable=iterable)

    @functools.wraps(body)
    def run(_context: object, **arguments: Any) -> None:
        try:
            with _sigterm_unwinds():
                body(Context(PROJECT), **arguments)
        except SlipwayError as error:
            _tell(error, as_json=bool(arguments.get("json")))
            raise Exit(code=error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            code = TERMINATED if isinstance(interrupt, _Terminated) else INTERRUPTED
            sys.stderr.write(f"stopped: {_what_remains(interrupt)}\n")
            raise Exit(code=code) from interrupt

    return task(run, name=name, iterable=list(iterable))


def _what_remains(interrupt: KeyboardInterrupt) -> str:
    """Return what a workflow that can't take back what it began has said of it."""
    return str(interrupt) or "what this command had begun was cleaned up"


def _tell(error: SlipwayError, *, as_json: bool) -> None:
    sys.stderr.write(f"{error}\n")
    if as_json:
        _print_json(error.as_dict())


def _print_json(document: object) -> None:
    import json  # noqa: PLC0415

    sys.stdout.write(json.dumps(document, indent=2, sort_keys=True) + "\n")


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    def unwind(_signal: int, _frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Context:
    """What tasks call. One method per way of working: a workflow, the local region, the proof."""

    def __init__(self, project: Path) -> None:
        self.project = project

    def bake_ami(
        self, environment: str, *, server_classes: tuple[str, ...], dry_run: bool, force: bool, as_json: bool
    ) -> None:
        """Bake images and print what became of each class."""
        from orchestrator.console import reporter  # noqa: PLC0415
        from orchestrator.workflows import bake_ami  # noqa: PLC0415

        world = self._world(environment, "bake")
        request = bake_ami.BakeRequest(server_classes, is_forced=force)
        plan = bake_ami.observe_and_plan(world, request)
        if dry_run or plan.is_empty:
            _show(plan.as_dict(), plan.lines(), as_json=as_json)
            return
        with reporter("bake") as console:
            result = bake_ami.apply(world, plan, console)
        _show(result.as_dict(), result.lines(), as_json=as_json)

    def gc(self, environment: str, *, dry_run: bool, is_confirmed: bool, as_json: bool) -> None:
        """Remove leftovers and print them."""
        from orchestrator.console import reporter  # noqa: PLC0415
        from orchestrator.workflows import gc  # noqa: PLC0415

        world = self._world(environment, "gc")
        plan = gc.observe_and_plan(world)
        if not dry_run and not plan.is_empty:
            if world.environment.protected and not is_confirmed:
                raise Refused(
                    f"gc {environment}",
                    "the environment is protected",
                    next_command=f"invoke gc --environment {environment} --dry-run, then the same with --yes",
                )
            with reporter("gc") as console:
                gc.apply(world, plan, console)
        _show(plan.as_dict(), plan.lines(is_dry_run=dry_run), as_json=as_json)

    def provision(self, words: StackWords, *, dry_run: bool, is_confirmed: bool) -> None:
        """Bring stacks up, or plan to, and print what became of each."""
        from orchestrator.commands import stacks  # noqa: PLC0415

        show = functools.partial(_show, as_json=words.as_json)
        stacks.provision(self._place(), words, show, is_dry_run=dry_run, is_confirmed=is_confirmed)

    def drift(self, words: StackWords) -> None:
        """Print how what is there differs from what the stacks say."""
        from orchestrator.commands import stacks  # noqa: PLC0415

        stacks.drift(self._place(), words, functools.partial(_show, as_json=words.as_json))

    def destroy(self, words: StackWords, *, dry_run: bool, is_confirmed: bool) -> None:
        """Delete stacks, or plan to, and print what became of each."""
        from orchestrator.commands import stacks  # noqa: PLC0415

        show = functools.partial(_show, as_json=words.as_json)
        stacks.destroy(self._place(), words, show, is_dry_run=dry_run, is_confirmed=is_confirmed)

    def rollout(self, words: RolloutWords, *, dry_run: bool, is_confirmed: bool) -> None:
        """Plan a rollout of a fleet or of several, and unless it is a dry run carry it out."""
        from orchestrator.commands import rollouts, waves  # noqa: PLC0415

        commands = waves if words.are_several else rollouts
        commands.rollout(self._desk(words), words, is_dry_run=dry_run, is_confirmed=is_confirmed)

    def rollout_status(self, words: RolloutWords) -> None:
        """Show how a fleet is."""
        from orchestrator.commands import rollouts  # noqa: PLC0415

        rollouts.status(self._desk(words), words)

    def rollout_control(self, verb: str, words: RolloutWords) -> None:
        """Pause, resume, promote, abort or take back what is under way."""
        from orchestrator.commands import rollouts  # noqa: PLC0415

        rollouts.control(self._desk(words), words, verb)

    def rollout_history(self, words: RolloutWords, *, svg: str, rollout_id: str) -> None:
        """Show a fleet's rollouts, and draw one."""
        from orchestrator.commands import rollouts  # noqa: PLC0415

        rollouts.history(self._desk(words), words, svg=svg, rollout_id=rollout_id)

    def ssh(self, words: ShellWords) -> None:
        """Visit machines behind the bastion."""
        from orchestrator.commands import doors  # noqa: PLC0415

        _end_with(doors.ssh(self._place(), words, functools.partial(_show, as_json=words.as_json)))

    def keys(self, verb: str, words: KeyWords) -> None:
        """Let keys in, keep people out, sign keys, or show them."""
        from orchestrator.commands import doors, keys  # noqa: PLC0415

        place = self._place()
        show = functools.partial(_show, as_json=words.as_json)
        keys.run(keys.KeyDesk(place, functools.partial(doors.join, place), show), verb, words)

    def db_tunnel(self, words: TunnelWords) -> None:
        """Open a tunnel to the database."""
        from orchestrator.commands import db_tunnel  # noqa: PLC0415

        _end_with(db_tunnel.db_tunnel(self._place(), words))

    def ssh_config(self, environment: str, *, is_installed: bool, as_json: bool) -> None:
        """Write what plain ssh needs."""
        from orchestrator.commands import ssh_config  # noqa: PLC0415

        desk = ssh_config.open_desk(self._place(), functools.partial(_show, as_json=as_json))
        ssh_config.write(desk, environment, is_installed=is_installed)

    def ssh_config_refresh(self, environment: str, *, is_quiet: bool) -> None:
        """Bring what plain ssh needs up to date."""
        from orchestrator.commands import ssh_config  # noqa: PLC0415

        ssh_config.refresh(ssh_config.open_desk(self._place(), _hide if is_quiet else _show), environment)

    def diagram(self, *, network: str, output: str) -> None:
        """Draw a network."""
        if not network:
            raise ConfigError("diagram", ("diagram: --network is missing",))
        from stacks.document import picture  # noqa: PLC0415

        svg = picture(self.project, network)
        if not output:
            sys.stdout.write(svg)
            return
        try:
            Path(output).write_text(svg, "utf-8")
        except OSError as error:
            raise ConfigError("diagram", (f"output {output}: {error.strerror}",)) from error
        _show({}, (f"{network} is drawn in {output}",))

    def _place(self) -> Place:
        from orchestrator.commands.stacks import Place  # noqa: PLC0415

        def templates(project: Path, network: str) -> Templates:
            from stacks.synthesis import ProjectTemplates  # noqa: PLC0415

            return ProjectTemplates(project, network)

        port = _sandbox_port() if os.environ.get(PORT_VARIABLE) else None
        return Place(self.project, os.environ, port, templates)

    def _desk(self, words: RolloutWords) -> Desk:
        from orchestrator.commands.rollout_world import join  # noqa: PLC0415
        from orchestrator.commands.rollouts import Desk  # noqa: PLC0415
        from orchestrator.console.rollout import rollout_view  # noqa: PLC0415

        place = self._place()
        show = functools.partial(_show, as_json=words.as_json)
        return Desk(place, functools.partial(join, place), show, rollout_view)

    def demo(self, *, port: str, as_json: bool) -> None:
        """Bring everything up on this machine and show it."""
        from orchestrator.commands import demo, region  # noqa: PLC0415

        number = _sandbox_port(port)
        os.environ[PORT_VARIABLE] = str(number)
        region.up(number, mode="real", seed="", show=None)
        shown = demo.demo(self._place(), self._world("sandbox", "demo"))
        _show(shown.as_dict(), shown.lines(), as_json=as_json)

    def prove(self, selection: str) -> None:
        """Run a set of the project's own checks."""
        from orchestrator import proof  # noqa: PLC0415

        binaries = str(self.project / ".venv" / "bin")
        environ = {**os.environ, "PATH": os.pathsep.join((binaries, os.environ.get("PATH", os.defpath)))}
        proof.run(self.project, selection, environ)

    def region_up(self, *, port: str, mode: str, seed: str, as_json: bool) -> None:
        """Start the local region."""
        from orchestrator.commands import region  # noqa: PLC0415

        show = functools.partial(_show, as_json=as_json)
        region.up(_sandbox_port(port), mode=mode, seed=seed, show=show)

    def region_down(self) -> None:
        """Stop the local region."""
        from orchestrator.commands import region  # noqa: PLC0415

        region.down(_show)

    def region_reset(self) -> None:
        """Stop the local region and forget it."""
        from orchestrator.commands import region  # noqa: PLC0415

        region.reset(_show)

    def region_status(self, *, as_json: bool) -> None:
        """Show what runs in the local region."""
        from orchestrator.commands import region  # noqa: PLC0415

        region.status(functools.partial(_show, as_json=as_json))

    def region_logs(self, *, lines: str) -> None:
        """Show the region's logs."""
        from orchestrator.commands import region  # noqa: PLC0415

        region.logs(lines, _show)

    def _world(self, name: str, verb: str) -> World:
        from orchestrator.commands.image_world import join  # noqa: PLC0415
        from orchestrator.config.loader import load_environment  # noqa: PLC0415

        port = _sandbox_port() if os.environ.get(PORT_VARIABLE) else None
        environment = load_environment(self.project, name, endpoint_port=port)
        return join(self.project, environment, verb, os.environ)


def _end_with(code: int) -> None:
    """End with the exit code of what was run for the operator."""
    if code:
        raise Exit(code=code)


def _sandbox_port(text: str = "") -> int:
    """Return the local region's port: as given, else as the environment variable says, else the usual one."""
    chosen = text or os.environ.get(PORT_VARIABLE) or str(DEFAULT_PORT)
    if not chosen.isascii() or not chosen.isdigit() or not 1 <= int(chosen) <= LAST_PORT:
        raise ConfigError("port", (f"port {chosen!r}: must be a number from 1 to {LAST_PORT}",))
    return int(chosen)


def _show(document: object, lines: Sequence[str], *, as_json: bool = False) -> None:
    if as_json:
        _print_json(document)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines))


def _hide(document: object, lines: Sequence[str]) -> None:
    """Show nothing."""
