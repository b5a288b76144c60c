# SPDX-License-Identifier: Apache-2.0
"""Builds chains: asks for routes and a login, anew each time, and tries the routes one after the other."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from orchestrator.errors import DoorError, HostKeyChanged, KeyRefused, MachineMissing, SlipwayError
from orchestrator.ports.doors import Login, Route, Routes, TunnelOptions
from orchestrator.ssh.tunnel.blocking import in_thread
from orchestrator.ssh.tunnel.chain import Chain

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_STANDBY_PAUSE_S = 30.0
# Looking for machines and having a certificate signed are a few calls of AWS, each with retries of its own.
_ASK_S = 30.0
_ROUTES_TRIED = 4


class NotBuilt(Exception):
    """No chain was built.

    Attributes:
        is_final: Trying again can't mend it.
        may_pass: A second attempt may help at once: another machine may know us already.
    """

    def __init__(self, error: SlipwayError, *, is_final: bool, may_pass: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_final = is_final
        self.may_pass = may_pass


class Builder:
    """Builds chains."""

    def __init__(
        self,
        routes: Routes,
        options: TunnelOptions,
        *,
        on_lost: Callable[[Chain, str], None],
        refusal_s: float,
    ) -> None:
        self._routes = routes
        self._options = options
        self._on_lost = on_lost
        self._refusal_s = refusal_s
        self._numbers = itertools.count(1)
        self._refusals = 0
        self._refused_since_s = 0.0
        self._refusing: set[str] = set()

    async def build(self, avoid: Collection[str]) -> Chain:
        """Build a chain over the route that shares the fewest hops with those to avoid.

        Raises:
            NotBuilt: None could be built.
        """
        shunned = frozenset(avoid) | self._refusing
        try:
            found = await in_thread(lambda: self._routes.find(avoid=shunned), _ASK_S)
            login = await in_thread(self._routes.login, _ASK_S)
            chain = await self._first_of(by_overlap(found, shunned)[:_ROUTES_TRIED], login)
        except TimeoutError as exc:
            error = MachineMissing("look for a way", f"AWS has not answered for {_ASK_S:g} s")
            raise NotBuilt(error, is_final=False) from exc
        except SlipwayError as exc:
            is_final = self._is_final(exc)
            raise NotBuilt(exc, is_final=is_final, may_pass=self._refusals == 1) from exc
        self._refusals = 0
        self._refusing.clear()
        return chain

    async def _first_of(self, found: Sequence[Route], login: Login) -> Chain:
        """Return a chain over the first route that works. A strange host key ends the search."""
        failures: dict[str, DoorError] = {}
        for route in found:
            if any(hop.name in failures for hop in route.hops):
                continue  # another machine behind a bastion that does not answer is no other way
            chain = Chain(next(self._numbers), route, self._options, on_lost=self._on_lost)
            try:
                await chain.connect(login)
            except HostKeyChanged:
                raise
            except DoorError as exc:
                failures[chain.stuck_at] = exc
            else:
                return chain
        refusals = {name: error for name, error in failures.items() if isinstance(error, KeyRefused)}
        self._refusing |= refusals.keys()
        raise [
            MachineMissing("look for a way", "there is none"),
            *failures.values(),
            *refusals.values(),
        ][-1]

    def _is_final(self, error: SlipwayError) -> bool:
        """Tell whether trying again is vain. A refusal is, once it has been repeated for a while.

        Not at once: a machine that has just started may not know yet who may come in.
        """
        if not isinstance(error, KeyRefused):
            return isinstance(error, DoorError) and not isinstance(error, MachineMissing)
        self._refusals += 1
        if self._refusals == 1:
            self._refused_since_s = time.monotonic()
        return self._refusals > 1 and time.monotonic() - self._refused_since_s >= self._refusal_s


def by_overlap(found: Sequence[Route], avoid: Collection[str]) -> list[Route]:
    """Return routes, those with the fewest hops to avoid first; else in the order they came in."""
    return sorted(found, key=lambda route: sum(hop.name in avoid for hop in route.hops))


def pause_s(failures: int, longest_s: float) -> float:
    """Return how long to wait before the next attempt; jitter keeps many clients from coming all at once."""
    longest = min(longest_s, _FIRST_PAUSE_S * 2 ** min(failures - 1, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


async def rest(failures: int, hurry: asyncio.Event, *, is_standby: bool) -> None:
    """Wait before the next attempt, until there is a hurry.

    Each attempt costs calls of AWS, so what is missing only for the worst case is tried more rarely.
    """
    if failures:
        with suppress(TimeoutError):
            async with asyncio.timeout(
                pause_s(failures, _STANDBY_PAUSE_S if is_standby else _LONGEST_PAUSE_S)
            ):
                await hurry.wait()
