# SPDX-License-Identifier: Apache-2.0
"""Tell what is absent from what went wrong, and undo a create that fails half-way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call, HandlerError

POLL_S = 1.0


def code_of(error: ClientError) -> str:
    """Return the code of an AWS error."""
    return str(error.response["Error"]["Code"])


@contextmanager
def absent_is_fine(*codes: str) -> Iterator[None]:
    """Pass over the errors that say that something is not there."""
    try:
        yield
    except ClientError as error:
        if code_of(error) not in codes:
            raise


def unless_absent(fetch: Callable[[], Any], *codes: str) -> Any | None:
    """Return what `fetch` returns; None if AWS answers with one of the codes."""
    with absent_is_fine(*codes):
        return fetch()
    return None


@contextmanager
def undone_by(undo: Callable[[], Any]) -> Iterator[None]:
    """Call `undo` if the block fails, and let the failure go on; say so if that fails as well."""
    try:
        yield
    except (ClientError, HandlerError) as error:
        try:
            undo()
        except (ClientError, HandlerError) as second:
            raise HandlerError(f"{error} What had been made could not be removed: {second}") from error
        raise


def wait_until(call: Call, is_done: Callable[[], bool]) -> None:
    """Ask again and again, in the region's time, until it is done or the engine gives up."""
    while not is_done():
        if not call.is_alive():
            raise HandlerError("The operation was cancelled while it waited.")
        call.sleep(POLL_S)


def wait_while_wanted(call: Call, is_done: Callable[[], bool], *, limit_s: float = math.inf) -> None:
    """Wait for what was made, until the engine does not want it any more and removes it itself.

    Raises:
        HandlerError: It took longer than the limit, in the region's time.
    """
    waited_s = 0.0
    while call.is_alive() and not is_done():
        if waited_s >= limit_s:
            raise HandlerError(f"It was not ready after {limit_s:g} s. The region's log may say why.")
        call.sleep(POLL_S)
        waited_s += POLL_S
