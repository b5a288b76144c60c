# SPDX-License-Identifier: Apache-2.0
"""The commands of the local region: the only place of this package that knows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.commands.stacks import Show
from orchestrator.errors import ConfigError, Refused

MODES = ("real", "simulated")


def up(port: int, *, mode: str, seed: str, show: Show | None) -> None:
    """Start it; without `show` what came of it is not told."""
    if mode not in MODES:
        raise ConfigError("mode", (f"mode {mode!r}: must be one of {', '.join(MODES)}",))
    drawn = _seed(seed, mode)
    from orchestrator.console import reporter  # noqa: PLC0415

    with _region_errors(), reporter("region") as console:
        from sandbox import control  # noqa: PLC0415

        info = control.up(port=port, mode=mode, seed=drawn, on_phase=lambda phase: console.step("up", phase))
        console.done("up", f"answers at {info.endpoint}")
    if show is None:
        return
    word = "runs already" if info.was_running else "is up"
    line = f"the local region {word}: {info.endpoint} (pid {info.pid}, {info.mode} machines)"
    show({"endpoint": info.endpoint, "pid": info.pid, "mode": info.mode, "region": info.region}, (line,))


def down(show: Show) -> None:
    """Stop it."""
    with _region_errors():
        from sandbox import control  # noqa: PLC0415

        was_running = control.down()
    show({}, ("the local region is down" if was_running else "nothing ran; leftovers, if any, are gone",))


def reset(show: Show) -> None:
    """Stop it and forget it."""
    with _region_errors():
        from sandbox import control  # noqa: PLC0415

        control.reset()
    show({}, ("the local region is as new",))


def status(show: Show) -> None:
    """Show what runs in it."""
    with _region_errors():
        from sandbox import control  # noqa: PLC0415

        page = control.status()
    from orchestrator.console import region_table  # noqa: PLC0415

    show(page, region_table(page))


def logs(lines: str, show: Show) -> None:
    """Show its logs."""
    if not lines.isascii() or not lines.isdigit():
        raise ConfigError("lines", (f"lines {lines!r}: must be a number",))
    with _region_errors():
        from sandbox import control  # noqa: PLC0415

        show({}, tuple(control.logs(lines=int(lines))))


def _seed(text: str, mode: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise ConfigError("seed", (f"seed {text!r}: must be a whole number from 0",))
    if mode != "simulated":
        raise ConfigError("seed", ("seed: only a simulated region has one",))
    return int(text)


@contextmanager
def _region_errors() -> Iterator[None]:
    """Turn the region's own errors into ours; the region knows nothing of this package."""
    from sandbox.errors import SandboxError  # noqa: PLC0415

    try:
        yield
    except SandboxError as error:
        raise Refused("local region", error.cause, next_command=error.next_step) from error
