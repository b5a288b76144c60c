# SPDX-License-Identifier: Apache-2.0
"""Files that others read while they are written anew: each is there whole, or as it was before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

# What sshd and its programs read: in memory, so that a full disk keeps nobody in.
RUN = Path("/run/slipway-access")
# What outlasts the machine's restart.
STATE = Path("/var/lib/slipway-access")


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file at once: readers see the old text or the new.

    Raises:
        OSError: It can't be written; the old text is still there.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def write_changed(directory: Path, files: Mapping[str, str]) -> list[str]:
    """Write the files whose text differs, and return their names."""
    changed = [name for name, text in files.items() if read(directory / name) != text]
    for name in changed:
        write(directory / name, files[name])
    return changed


def read(path: Path) -> str | None:
    """Return a file's text, or None where it can't be had."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
