# SPDX-License-Identifier: Apache-2.0
"""Watch a tunnel: tell what changes, warn before its time is up, and say when it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from orchestrator.clock import Clock
from orchestrator.domain.tunnel import TunnelState, TunnelStatus
from orchestrator.domain.tunnel_story import Speed, TunnelLook, news, span
from orchestrator.ports import Tunnel
from orchestrator.workflows.db_tunnel.world import Screen

TURN_S = 0.5
WARNING = timedelta(minutes=5)


class Watch:
    """One tunnel that is watched. Not to be used by two threads at once.

    `is_brief`: tell only what matters to a client on the same terminal.
    """

    def __init__(
        self, tunnel: Tunnel, clock: Clock, screen: Screen, *, ends_at: datetime, is_brief: bool = False
    ) -> None:
        self._tunnel, self._clock, self._screen, self._is_brief = tunnel, clock, screen, is_brief
        # By the clock on the wall: time in which this machine sleeps counts.
        self._ends_at = ends_at
        self._is_warned = ends_at - clock.now() <= WARNING
        self._last: TunnelStatus = tunnel.status()
        self._lost_at_s: float | None = None
        self._speed = Speed(clock.monotonic_s(), self._last.sent_bytes, self._last.received_bytes)

    def until_end(self) -> bool:
        """Watch until the tunnel's time is up, and return True; False if it has ended before.

        Raises:
            DoorError: It has ended for good.
        """
        while not self._tunnel.wait(timeout_s=TURN_S):
            if self._look():
                return True
        return False

    def tell(self, text: str) -> None:
        """Tell the operator something."""
        self._screen.say(text)

    def _look(self) -> bool:
        status, at_s = self._tunnel.status(), self._clock.monotonic_s()
        if status.state is TunnelState.REBUILDING and self._lost_at_s is None:
            self._lost_at_s = at_s
        lost_s = 0.0 if self._lost_at_s is None else at_s - self._lost_at_s
        for sentence in news(self._last, status, lost_s=lost_s, is_brief=self._is_brief):
            self._screen.say(sentence)
        if status.state is TunnelState.READY:
            self._lost_at_s = None
        self._last, self._speed = status, self._speed.next(status, at_s)
        left = self._ends_at - self._clock.now()
        self._warn(left)
        self._screen.show(
            TunnelLook(
                status,
                self._speed.sent_per_s,
                self._speed.received_per_s,
                left.total_seconds(),
                lost_s=None if self._lost_at_s is None else lost_s,
            )
        )
        return left <= timedelta(0)

    def _warn(self, left: timedelta) -> None:
        if self._is_warned or left > WARNING:
            return
        self._is_warned = True
        self._screen.say(f"closes in {span(left.total_seconds())}; a longer --ttl keeps the next one open")
