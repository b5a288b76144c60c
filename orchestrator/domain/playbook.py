# SPDX-License-Identifier: Apache-2.0
"""What an Ansible playbook or task list names: roles, lists, variables and files. Pure, on parsed YAML."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_SECTIONS = ("pre_tasks", "tasks", "post_tasks", "handlers")
_BLOCKS = ("block", "rescue", "always")
_OWN_COLLECTIONS = ("ansible.builtin.", "ansible.legacy.")


class Kind(StrEnum):
    """What a name stands for."""

    ROLE = "role"
    PLAYBOOK = "playbook"
    TASKS = "tasks"
    VARS = "variables"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in a playbook or task list."""

    kind: Kind
    name: str

    @property
    def is_literal(self) -> bool:
        """Tell whether the name is the thing itself, not a template of it."""
        return "{{" not in self.name and "{%" not in self.name


# Action -> what it names, and the argument that holds the name; a bare string is that argument too.
_ACTIONS = {
    "import_role": (Kind.ROLE, ("name", "role")),
    "include_role": (Kind.ROLE, ("name", "role")),
    "import_tasks": (Kind.TASKS, ("file", "_raw_params")),
    "include_tasks": (Kind.TASKS, ("file", "_raw_params")),
    "include_vars": (Kind.VARS, ("file", "dir", "_raw_params")),
    "copy": (Kind.FILE, ("src",)),
    "template": (Kind.FILE, ("src",)),
    "assemble": (Kind.FILE, ("src",)),
    "unarchive": (Kind.FILE, ("src",)),
    "script": (Kind.FILE, ("cmd", "_raw_params")),
}


def of_playbook(document: object) -> Iterator[Reference]:
    """Give what a playbook names."""
    for play in _mappings(document):
        for key, value in play.items():
            if _action(key) == "import_playbook" and isinstance(value, str):
                yield Reference(Kind.PLAYBOOK, value)
        yield from of_dependencies(play.get("roles"))
        for name in _strings(play.get("vars_files")):
            yield Reference(Kind.VARS, name)
        for section in _SECTIONS:
            yield from of_tasks(play.get(section))


def of_dependencies(entries: object) -> Iterator[Reference]:
    """Give the roles of a list as plays and the metadata of roles have it."""
    for entry in entries if isinstance(entries, list) else ():
        name = entry if isinstance(entry, str) else None
        if isinstance(entry, dict):
            name = entry.get("role") or entry.get("name")
        if isinstance(name, str):
            yield Reference(Kind.ROLE, name)


def of_tasks(document: object) -> Iterator[Reference]:
    """Give what a list of tasks or handlers names."""
    for task in _mappings(document):
        for key, value in task.items():
            if key in _BLOCKS:
                yield from of_tasks(value)
            elif _action(key) in _ACTIONS:
                yield from _of_action(_action(key), value)


def _of_action(action: str, arguments: object) -> Iterator[Reference]:
    kind, keys = _ACTIONS[action]
    if isinstance(arguments, str):
        arguments = _from_text(arguments)
    if not isinstance(arguments, dict) or _is_true(arguments.get("remote_src")):
        return
    for key in keys:
        if isinstance(arguments.get(key), str):
            yield Reference(kind, arguments[key])


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in {"yes", "true", "on", "1"})


def _from_text(text: str) -> dict[str, str]:
    """Return the arguments of `action: file.yml key=value`; a template may hold blanks, and is one word."""
    if "{{" in text and "=" not in text.partition("{{")[0]:
        return {"_raw_params": text, "name": text}
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    bare = [word for word in words if "=" not in word]
    return {**pairs, **({"_raw_params": bare[0]} if bare else {})}


def _action(key: object) -> str:
    name = str(key)
    for collection in _OWN_COLLECTIONS:
        name = name.removeprefix(collection)
    return name


def _mappings(document: object) -> Iterator[dict[object, object]]:
    for item in document if isinstance(document, list) else ():
        if isinstance(item, dict):
            yield item


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value if isinstance(value, list) else ():
        yield from _strings(item)
