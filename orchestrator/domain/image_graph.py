# SPDX-License-Identifier: Apache-2.0
"""Server classes and the images they are baked on, as a graph. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import ConfigError

IMAGES_PATH = "packer/images.yaml"


@dataclass(frozen=True, slots=True)
class ImageSource:
    """The public image that a root class is baked on: the newest of this owner whose name matches."""

    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """A command that root runs on a fresh machine of the image; exit code 0 lets the image through."""

    name: str
    command: str


@dataclass(frozen=True, slots=True)
class ImageClass:
    """One server class: exactly one of `parent` and `source` is set."""

    name: str
    playbook: str
    parent: str | None
    source: ImageSource | None
    checks: tuple[ImageCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageGraph:
    """All classes; `graph_problems` has found none, so every chain of parents ends at a source."""

    classes: Mapping[str, ImageClass]

    def levels(self, names: Sequence[str] = ()) -> tuple[tuple[ImageClass, ...], ...]:
        """Return the classes asked for and their ancestors, parents first; those of a level are independent.

        Args:
            names: All classes when empty.

        Raises:
            ConfigError: A class is not there.
        """
        wanted = self._with_ancestors(names or tuple(self.classes))
        levels: dict[int, list[ImageClass]] = {}
        for name in sorted(wanted):
            levels.setdefault(len(self.ancestors(name)), []).append(self.classes[name])
        return tuple(tuple(levels[depth]) for depth in sorted(levels))

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return the parent, its parent and so on."""
        found = []
        parent = self.classes[name].parent
        while parent is not None:
            found.append(parent)
            parent = self.classes[parent].parent
        return tuple(found)

    def source_of(self, name: str) -> ImageSource:
        """Return the public image at the bottom of a class."""
        root = self.classes[(name, *self.ancestors(name))[-1]]
        if root.source is None:
            raise ConfigError(IMAGES_PATH, (f"{IMAGES_PATH}: classes.{root.name}: has no source",))
        return root.source

    def _with_ancestors(self, names: Sequence[str]) -> frozenset[str]:
        unknown = sorted(set(names) - self.classes.keys())
        if unknown:
            known = ", ".join(sorted(self.classes))
            raise ConfigError(
                IMAGES_PATH,
                tuple(
                    f"{IMAGES_PATH}: classes.{name}: there is no such class; there are {known}"
                    for name in unknown
                ),
            )
        return frozenset(each for name in names for each in (name, *self.ancestors(name)))


def graph_problems(classes: Mapping[str, ImageClass]) -> Iterator[tuple[str, str]]:
    """Give what is wrong with the graph as (class, message); a cycle is told once, at its first class."""
    told: set[str] = set()
    for name in sorted(classes):
        parent = classes[name].parent
        if (parent is None) == (classes[name].source is None):
            yield name, "has both a parent and a source" if parent else "has neither a parent nor a source"
        if parent is not None and parent not in classes:
            yield name, f"its parent {parent} is no class"
        cycle = _cycle_from(classes, name)
        if cycle and not told.intersection(cycle):
            told.update(cycle)
            yield name, f"is its own ancestor: {' -> '.join(cycle)}"


def _cycle_from(classes: Mapping[str, ImageClass], name: str) -> tuple[str, ...]:
    """Return the way along parents that leads back to `name`, or nothing."""
    way = [name]
    parent = classes[name].parent
    while parent is not None and parent in classes and parent not in way:
        way.append(parent)
        parent = classes[parent].parent
    return (*way, name) if parent == name else ()
