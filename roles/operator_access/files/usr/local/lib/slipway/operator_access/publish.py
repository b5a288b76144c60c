# SPDX-License-Identifier: Apache-2.0
"""Publish the machine's host keys, once: whoever finds others there than its own has been deceived."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from . import cache
from .cloud import ERRORS, code_of
from .keys import host_keys

MARK = "published"
# Beside what sshd reads, while the boot has left it to the long-running part.
LEFT = "host-keys-left"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of it."""

    PUBLISHED = "published"
    REFUSED = "refused"  # others are there: nothing more is tried
    LATER = "later"


class Publisher(Protocol):
    """Where host keys are published."""

    def publish(self, value: str) -> bool:
        """Publish, and tell whether nothing was there."""

    def published(self) -> str | None:
        """Return what is there."""


class HostKeys:
    """The machine's host keys on their way to where operators look for them."""

    def __init__(self, cloud: Publisher, keys: str | None = None, *, state: Path = cache.STATE) -> None:
        self._cloud = cloud
        self._keys = host_keys() if keys is None else keys
        self._mark = state / MARK
        self._trouble = ""
        self._outcome = self._remembered()

    def publish(self, limit_s: float, *, sleep: Callable[[float], None] = time.sleep) -> Outcome:
        """Publish what is not published yet; while AWS does not answer, try again until the limit."""
        waited, pause = 0.0, FIRST_PAUSE_S
        while self._outcome is Outcome.LATER:
            self._try()
            if self._outcome is not Outcome.LATER or waited + pause > limit_s:
                break
            sleep(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE_S)
        return self._outcome

    def _try(self) -> None:
        try:
            self._outcome = self._publish_once()
        except ERRORS as error:
            if self._trouble != code_of(error):
                log.warning("the host keys are not published yet: %s", error)
            self._trouble = code_of(error)
            return
        try:
            cache.write(self._mark, f"{self._outcome}\n{self._keys}\n")
        except OSError as error:
            log.warning("that the host keys are published can't be noted: %s", error)

    def _publish_once(self) -> Outcome:
        if self._cloud.publish(self._keys):
            log.info("the host keys are published")
            return Outcome.PUBLISHED
        if (self._cloud.published() or "").strip() == self._keys:
            return Outcome.PUBLISHED
        log.error("other host keys are published for this machine: nobody gets in, and somebody must look")
        return Outcome.REFUSED

    def _remembered(self) -> Outcome:
        """Return what became of these keys before the machine's restart."""
        text = cache.read(self._mark) or ""
        settled = (Outcome.PUBLISHED, Outcome.REFUSED)
        return next((each for each in settled if text == f"{each}\n{self._keys}\n"), Outcome.LATER)


def publish_at_boot(own: HostKeys, limit_s: float, *, run: Path = cache.RUN) -> None:
    """Publish the keys that the boot has made; if that takes too long, leave it to the long-running part."""
    if own.publish(limit_s) is Outcome.LATER:
        cache.write(run / LEFT, "")


class Leftover:
    """Publishes in the background what the boot has left. Before it has made its keys, there is nothing."""

    def __init__(self, cloud: Publisher, *, run: Path = cache.RUN, state: Path = cache.STATE) -> None:
        self._cloud = cloud
        self._mark = run / LEFT
        self._state = state
        self._own: HostKeys | None = None

    def publish(self) -> None:
        """Try once, if something was left."""
        if not self._mark.exists():
            return
        self._own = self._own or HostKeys(self._cloud, state=self._state)
        if self._own.publish(0.0) is not Outcome.LATER:
            self._mark.unlink(missing_ok=True)
