# SPDX-License-Identifier: Apache-2.0
"""Learn who may come in, again and again. What can't be read now stays as it was."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from . import cache
from .cloud import ERRORS, code_of
from .rules import Known, database_of, files, valid_keys

MEMORY = "known.json"

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where it is learned from."""

    def people(self) -> tuple[dict[str, str], frozenset[str]]:
        """Return people's own keys by name, and the names that are kept out."""

    def authority(self) -> str:
        """Return the line of the key that signs certificates."""

    def database(self) -> str | None:
        """Return what the class's parameter says about the database."""


class People:
    """What this machine knows, and the files in which sshd reads it."""

    def __init__(self, source: Source, known: Known, *, run: Path, state: Path) -> None:
        self._source = source
        self._run = run
        self._state = state
        self._troubles: dict[str, str] = {}
        self.known = self._remembered(known)

    def names(self) -> dict[str, str]:
        """Return whose the keys are that come in, by fingerprint."""
        return {key.fingerprint: who for who, key in valid_keys(self.known).items()}

    def refresh(self, *, everything: bool) -> bool:
        """Read anew who may come in; and with everything, who signs and where the database is.

        Returns:
            Whether all of it could be read and written.
        """
        if everything:
            self._learn("the authority", self._read_authority)
            self._learn("the database", self._read_database)
        self._learn("who may come in", self._read_people)
        self.write()
        return not self._troubles

    def write(self) -> None:
        """Write what sshd reads, and keep what must outlast a restart. Unchanged files stay untouched."""
        self._learn("the files of sshd", lambda: self._write(self._run, files(self.known)))
        self._learn("the memory", lambda: self._write(self._state, {MEMORY: self.known.to_json()}))

    def _read_people(self) -> None:
        keys, blocked = self._source.people()
        self.known = replace(self.known, keys=keys, blocked=blocked)

    def _read_authority(self) -> None:
        self.known = replace(self.known, authority=self._source.authority())

    def _read_database(self) -> None:
        text = self._source.database()
        self.known = replace(self.known, database=None if text is None else database_of(text))

    @staticmethod
    def _write(directory: Path, contents: dict[str, str]) -> None:
        cache.write_changed(directory, contents)

    def _learn(self, what: str, learn: Callable[[], None]) -> None:
        """Do a part; the others don't depend on it. Its failure is said once, and its end."""
        try:
            learn()
        except (*ERRORS, OSError, ValueError) as error:
            code = code_of(error)
            if self._troubles.get(what) != code:
                log.warning("%s: %s; what was known before stays", what, error)
            self._troubles[what] = code
        else:
            if self._troubles.pop(what, None):
                log.info("%s: well again", what)

    def _remembered(self, fresh: Known) -> Known:
        """Return what was known before the restart, if that was the same class of machine."""
        try:
            known = Known.from_json(cache.read(self._state / MEMORY) or "")
        except (ValueError, KeyError, TypeError):
            return fresh
        is_same = (known.environment, known.server_class) == (fresh.environment, fresh.server_class)
        return known if is_same else fresh
