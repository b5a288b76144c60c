# SPDX-License-Identifier: Apache-2.0
"""Every file of the project that an image is made of, derived from its playbook. Pure, over a tree of files.

What is not in the closure is not staged, and so can't be read by a bake: too much may be derived, never too
little. Of a role every file is taken, so names inside of a role need not be literal.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import Protocol

from orchestrator.domain.bake_key import fingerprint
from orchestrator.domain.playbook import Kind, Reference, of_dependencies, of_playbook, of_tasks

TEMPLATES = ("packer/image.pkr.hcl", "packer/plugins.pkr.hcl")
SETTINGS = "ansible.cfg"
# Of a role: its tests and its manual, and what tools leave behind anywhere. None of it is staged.
_NOT_OF_A_ROLE = ("molecule", "README.md")
_NEVER = ("__pycache__", "*.pyc", "*~", ".*.sw?")
# What Ansible picks up beside a playbook by itself.
_BESIDE_A_PLAYBOOK = ("group_vars", "host_vars", "library", "module_utils") + tuple(
    f"{kind}_plugins" for kind in ("action", "callback", "connection", "filter", "lookup", "test", "vars")
)
_FOLDERS = {Kind.TASKS: ("tasks", ""), Kind.VARS: ("vars", ""), Kind.FILE: ("files", "templates", "")}
_ROLE = re.compile(r"[a-z][a-z0-9_]*")
_ROLE_OF_A_COLLECTION = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+\.[a-z0-9_]+")
_YAML = (".yml", ".yaml")


class BadDocument(ValueError):
    """A file is no YAML; its text says why."""


class Tree(Protocol):
    """The project's files. Paths are relative, with slashes."""

    root: str

    def read(self, path: str) -> bytes:
        """Return what a file holds."""

    def document(self, path: str) -> object:
        """Return what a YAML file holds, or raise BadDocument."""

    def files(self, folder: str) -> tuple[str, ...]:
        """Return the files below a folder, links as they are; nothing when there is no such folder."""

    def is_file(self, path: str) -> bool:
        """Tell whether there is such a file."""

    def is_executable(self, path: str) -> bool:
        """Tell whether a file can be executed."""

    def has_link(self, path: str) -> bool:
        """Tell whether the path, or a folder on the way to it, is a symbolic link."""


def derive(
    tree: Tree, playbook: str, facts: Mapping[str, bytes]
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the closure of a playbook as path -> fingerprint, and what is wrong with it as `path: message`.

    Args:
        facts: What an image is made of beside whole files, by names such as `requirements.lock#ansible`.
    """
    derivation = _Derivation(tree, playbook)
    for path in (SETTINGS, *TEMPLATES):
        if not tree.is_file(path):
            derivation.problems.append(f"{path}: does not exist")
        derivation.take(path)
    derivation.follow_playbook(playbook)
    files = {
        path: fingerprint(tree.read(path), is_executable=tree.is_executable(path))
        for path in derivation.paths
    }
    problems = [*derivation.problems, *(text for path in sorted(files) for text in _own_address(tree, path))]
    return files | {name: fingerprint(content) for name, content in facts.items()}, tuple(
        dict.fromkeys(problems)
    )


def _own_address(tree: Tree, path: str) -> Iterator[str]:
    """Tell of absolute paths to files of this checkout: they would be there although they were not staged."""
    prefix = f"{tree.root.rstrip('/')}/".encode()
    if not tree.root or prefix == b"/":
        return
    for found in re.finditer(re.escape(prefix) + rb"([\w./@+-]+)", tree.read(path)):
        name = found[1].decode("utf-8", "replace").rstrip("./")
        if name and (tree.is_file(name) or tree.files(name)):
            yield f"{path}: names {name} by its absolute path in this checkout"


class _Derivation:
    """Follows names from file to file, collecting paths and problems."""

    def __init__(self, tree: Tree, playbook: str) -> None:
        self.paths: set[str] = set()
        self.problems: list[str] = []
        self._tree = tree
        self._playbook_folder = posixpath.dirname(playbook)
        self._followed: set[tuple[str, str]] = set()

    def take(self, path: str) -> None:
        """Add a file; a link is refused, because what it leads to may be anywhere."""
        if any(fnmatch(part, pattern) for part in path.split("/") for pattern in _NEVER):
            return
        if self._tree.has_link(path):
            self.problems.append(f"{path}: is or lies behind a symbolic link")
        elif self._tree.is_file(path):
            self.paths.add(path)

    def follow_playbook(self, path: str) -> None:
        """Add a playbook, what lies beside it for Ansible, and what it names."""
        if not self._is_new("playbook", path):
            return
        if not self._tree.is_file(path):
            self.problems.append(f"{path}: does not exist")
            return
        self.take(path)
        for folder in _BESIDE_A_PLAYBOOK:
            for each in self._tree.files(posixpath.join(posixpath.dirname(path), folder)):
                self.take(each)
        for reference in of_playbook(self._document(path)):
            self._follow(reference, path, role="")

    def _follow(self, reference: Reference, path: str, *, role: str) -> None:
        if reference.kind is Kind.ROLE:
            self._follow_role(reference, path)
        elif not reference.is_literal:
            if not role or ".." in reference.name:
                self.problems.append(
                    f"{path}: {reference.kind} {reference.name}: can't be told before the bake"
                )
        elif reference.kind is Kind.PLAYBOOK:
            self._follow_named_playbook(reference, path)
        else:
            self._follow_file(reference, path, role=role)

    def _follow_named_playbook(self, reference: Reference, path: str) -> None:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), reference.name))
        if self._tree.is_file(target) and not target.startswith("../"):
            self.follow_playbook(target)
        else:
            self.problems.append(f"{path}: playbook {reference.name}: does not exist in the project")

    def _follow_role(self, reference: Reference, path: str) -> None:
        name = reference.name
        if not reference.is_literal:
            self.problems.append(f"{path}: role {name}: can't be told before the bake")
        elif _ROLE_OF_A_COLLECTION.fullmatch(name):
            return  # comes with Ansible, whose version is a fact
        elif not _ROLE.fullmatch(name) or not self._tree.files(f"roles/{name}"):
            self.problems.append(f"{path}: role {name}: does not exist in roles/")
        elif self._is_new("role", name):
            self._take_role(name)

    def _take_role(self, name: str) -> None:
        folder = f"roles/{name}"
        for path in self._tree.files(folder):
            parts = path.removeprefix(f"{folder}/").split("/")
            if parts[0] in _NOT_OF_A_ROLE:
                continue
            self.take(path)
            if path not in self.paths or not path.endswith(_YAML):
                continue
            if parts[0] in {"tasks", "handlers"}:
                self._follow_tasks(path, role=name)
            elif parts[0] == "meta" and posixpath.splitext(parts[-1])[0] == "main":
                self._follow_dependencies(path)

    def _follow_dependencies(self, path: str) -> None:
        document = self._document(path)
        entries = document.get("dependencies") if isinstance(document, dict) else None
        for reference in of_dependencies(entries):
            self._follow(reference, path, role="")

    def _follow_tasks(self, path: str, *, role: str) -> None:
        if self._is_new(f"tasks of {role}", path):
            for reference in of_tasks(self._document(path)):
                self._follow(reference, path, role=role)

    def _follow_file(self, reference: Reference, path: str, *, role: str) -> None:
        """Find a literal name where Ansible would: in the role, beside the task, beside the playbook."""
        for target in self._places(reference, path, role=role):
            found = (target,) if self._tree.is_file(target) else self._tree.files(target)
            if found:
                for each in found:
                    self.take(each)
                if reference.kind is Kind.TASKS and target in self.paths:
                    self._follow_tasks(target, role=role)
                return
        if reference.kind is not Kind.FILE:  # the name of a file may be one of the machine's
            self.problems.append(f"{path}: {reference.kind} {reference.name}: does not exist in the project")

    def _places(self, reference: Reference, path: str, *, role: str) -> Iterator[str]:
        own_folder = posixpath.dirname(path)
        bases = [f"roles/{role}", own_folder] if role else [own_folder]
        for base in (*bases, self._playbook_folder):
            for folder in _FOLDERS[reference.kind]:
                target = posixpath.normpath(posixpath.join(base, folder, reference.name))
                if not target.startswith(("../", "/")) and target not in {".", ".."}:
                    yield target

    def _document(self, path: str) -> object:
        try:
            return self._tree.document(path)
        except BadDocument as exc:
            self.problems.append(f"{path}: {exc}")
            return None

    def _is_new(self, kind: str, name: str) -> bool:
        is_new = (kind, name) not in self._followed
        self._followed.add((kind, name))
        return is_new
