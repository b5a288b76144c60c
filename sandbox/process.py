# SPDX-License-Identifier: Apache-2.0
"""The only place of the region that starts processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.substrate import SubstrateError

_LAST_LINES = 10


def run(
    argv: Sequence[str],
    *,
    action: str,
    stdin: str | None = None,
    timeout_s: float = 60,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and return what it wrote to stdout.

    Raises:
        SubstrateError: it failed, is not installed, or took longer than `timeout_s`.
    """
    try:
        done = subprocess.run(  # noqa: S603 - argv is a list, no shell reads it
            argv,
            input=(stdin or "").encode(),
            capture_output=True,
            timeout=timeout_s,
            env={**os.environ, **(environ or {})},
            check=False,
        )
    except FileNotFoundError as exc:
        raise SubstrateError(action, f"{argv[0]} is not installed") from exc
    except subprocess.TimeoutExpired as exc:
        raise SubstrateError(action, f"{argv[0]} did not end within {timeout_s:g} s") from exc
    stdout = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        output = _last_lines(done.stderr.decode(errors="replace") or stdout)
        raise SubstrateError(action, output or f"exit code {done.returncode}")
    return stdout


def spawn(argv: Sequence[str], *, action: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a program that goes on, in a session of its own; what it says is added to `log`."""
    with log.open("ab") as out:
        try:
            return subprocess.Popen(  # noqa: S603 - as above
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                # The program may be another user, who may not even enter the directory of this one.
                cwd="/",
            )
        except FileNotFoundError as exc:
            raise SubstrateError(action, f"{argv[0]} is not installed") from exc


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_LAST_LINES:])
