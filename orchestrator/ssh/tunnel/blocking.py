# SPDX-License-Identifier: Apache-2.0
"""Functions that block, called from the event loop."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T], limit_s: float) -> T:
    """Return what a blocking function returns, called in a thread of its own.

    A thread can't be stopped. One that hangs is left behind: it keeps neither the tunnel nor the process.

    Raises:
        TimeoutError: It has not returned in time.
    """
    outcome: Future[T] = Future()

    def call() -> None:
        outcome.set_running_or_notify_cancel()  # who waits may give up; the result then goes nowhere
        try:
            result = function()
        except BaseException as exc:  # handed on, whatever it is
            outcome.set_exception(exc)
        else:
            outcome.set_result(result)

    threading.Thread(target=call, name="tunnel-question", daemon=True).start()
    async with asyncio.timeout(limit_s):
        return await asyncio.wrap_future(outcome)


async def numeric(host: str, limit_s: float) -> str:
    """Return the address of a host. The loop's own look-up would keep the tunnel from closing while it hangs.

    Raises:
        OSError: It has none, or nobody has told it in time.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        found = await in_thread(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM), limit_s)
        return str(found[0][4][0])
