# SPDX-License-Identifier: Apache-2.0
"""What an image is made of and holds, as a record that outlives it, and what differs between two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class FileFact:
    """A file of an image that no package vouches for: its contents, mode and owner."""

    sha256: str
    mode: str
    owner: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a fresh machine of an image holds.

    Attributes:
        packages: Name to version.
        files: Path to what it is; files of packages only where they were changed.
        units: systemd unit to `enabled` or `masked`.
        ports: Listening sockets, as `tcp 0.0.0.0:22 sshd`.
        users: Account to ids, home, shell and groups.
    """

    packages: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileFact] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    users: Mapping[str, str] = field(default_factory=dict)
    kernel: str = ""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the contents that a JSON document describes; raises KeyError or TypeError if it does not."""
        return cls(
            packages=dict(document["packages"]),
            files={path: FileFact(**fact) for path, fact in document["files"].items()},
            units=dict(document["units"]),
            ports=tuple(document["ports"]),
            users=dict(document["users"]),
            kernel=str(document["kernel"]),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """The record of one image: `parent` is what it was baked on, `inputs` maps files to their SHA-256."""

    class_name: str
    bake_key: str
    image_name: str
    ami_id: str
    parent: str
    created_at: datetime
    inputs: Mapping[str, str]
    contents: Contents

    def to_json(self) -> str:
        """Return the record as JSON: compact, sorted, the same for the same record."""
        document = asdict(self) | {"created_at": self.created_at.isoformat()}
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a record; raises ValueError when the text is none."""
        try:
            document = json.loads(text)
            return cls(
                **{name: str(document[name]) for name in _TEXTS},
                created_at=datetime.fromisoformat(document["created_at"]),
                inputs=dict(document["inputs"]),
                contents=Contents.from_document(document["contents"]),
            )
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError(f"not a manifest: {exc!r}") from exc


_TEXTS = ("class_name", "bake_key", "image_name", "ami_id", "parent")


@dataclass(frozen=True, slots=True)
class Changes:
    """How one kind of thing differs. `changed` maps what is in both to (old, new)."""

    added: Mapping[str, str]
    removed: Mapping[str, str]
    changed: Mapping[str, tuple[str, str]]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class ManifestDiff:
    """How two images differ."""

    packages: Changes
    files: Changes
    units: Changes
    ports: Changes
    users: Changes
    inputs: Changes
    kernel: tuple[str, str] | None = None

    def __bool__(self) -> bool:
        kinds = (self.packages, self.files, self.units, self.ports, self.users, self.inputs)
        return any(kinds) or self.kernel is not None


def diff(old: Manifest, new: Manifest) -> ManifestDiff:
    """Return what `new` has, lacks and has otherwise than `old`."""
    a, b = old.contents, new.contents
    return ManifestDiff(
        packages=_changes(a.packages, b.packages),
        files=_changes(_file_texts(a), _file_texts(b)),
        units=_changes(a.units, b.units),
        ports=_changes(dict.fromkeys(a.ports, ""), dict.fromkeys(b.ports, "")),
        users=_changes(a.users, b.users),
        inputs=_changes(old.inputs, new.inputs),
        kernel=(a.kernel, b.kernel) if a.kernel != b.kernel else None,
    )


def _file_texts(contents: Contents) -> dict[str, str]:
    return {path: f"{fact.sha256[:12]} {fact.mode} {fact.owner}" for path, fact in contents.files.items()}


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Changes:
    return Changes(
        added={name: new[name] for name in sorted(new.keys() - old.keys())},
        removed={name: old[name] for name in sorted(old.keys() - new.keys())},
        changed={
            name: (old[name], new[name]) for name in sorted(old.keys() & new.keys()) if old[name] != new[name]
        },
    )
