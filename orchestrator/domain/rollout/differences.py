# SPDX-License-Identifier: Apache-2.0
"""How two images differ, in lines: `packages: nginx 1.22.1-9 -> 1.24.0-2`. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.manifest import Changes, Manifest, diff

# A line is a kind, this, and what differs: by it, who shows lines gathers them.
KIND_ENDS = ": "
# Hashes of files say that they differ, not how.
_NAMES_ONLY = ("files", "inputs", "ports")


def difference_lines(old: Manifest, new: Manifest) -> tuple[str, ...]:
    """Return what the new image has more (+), less (-) and otherwise, kind by kind, sorted by name."""
    found = diff(old, new)
    kinds = {
        "packages": found.packages,
        "units": found.units,
        "ports": found.ports,
        "users": found.users,
        "files": found.files,
        "inputs": found.inputs,
    }
    kernel = (f"kernel{KIND_ENDS}{found.kernel[0]} -> {found.kernel[1]}",) if found.kernel else ()
    lines = (f"{kind}{KIND_ENDS}{text}" for kind, changes in kinds.items() for text in _texts(kind, changes))
    return (*kernel, *lines)


def _texts(kind: str, changes: Changes) -> Iterator[str]:
    is_short = kind in _NAMES_ONLY
    for name, (before, after) in changes.changed.items():
        yield f"{name} changed" if is_short else f"{name} {before} -> {after}"
    for sign, side in (("+", changes.added), ("-", changes.removed)):
        for name, value in side.items():
            yield f"{sign} {name}" if is_short or not value else f"{sign} {name} {value}"
