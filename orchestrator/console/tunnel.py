# SPDX-License-Identifier: Apache-2.0
"""What an operator sees while a tunnel is open.

On a terminal a frame that is drawn anew with each look, below the lines that stay; else only these lines.
Both on stderr: stdout is for the ready line, or for what the client prints.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orchestrator.domain.tunnel import HopStatus, TunnelState, TunnelStatus
from orchestrator.domain.tunnel_story import TunnelLook, counted, size, span

_COLOURS = {
    TunnelState.READY: "green",
    TunnelState.CONNECTING: "cyan",
    TunnelState.REBUILDING: "yellow",
    TunnelState.DRAINING: "blue",
    TunnelState.CLOSED: "grey50",
}
_SLOW_S = 0.2
_SOON_S = 300.0


class PlainTunnel:
    """A line when something has changed."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def say(self, text: str) -> None:
        """Show a line that stays."""
        with self._lock:
            sys.stderr.write(f"{self._title}: {text}\n")
            sys.stderr.flush()

    def show(self, look: TunnelLook) -> None:
        """Show nothing: what matters is said."""


class LiveTunnel:
    """The lines, and beneath them a frame. It appears with the first look, when nobody prints any more."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, transient=True)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Show a line that stays, above the frame."""
        with self._lock:
            self._console.print(Text(f"{self._title}: {text}"))

    def show(self, look: TunnelLook) -> None:
        """Draw how it is."""
        with self._lock:
            if not self._live.is_started:
                self._live.start()
            self._live.update(frame(self._title, look), refresh=True)


def frame(title: str, look: TunnelLook) -> Panel:
    """Return a look as a frame."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1)
    for label, content in _rows(look):
        table.add_row(label, content)
    state = look.status.state
    head = Text(f"{title}: {state.value}", f"bold {_COLOURS[state]}")
    return Panel(
        table, title=head, title_align="left", border_style=_COLOURS[state], padding=(0, 1), expand=True
    )


def _rows(look: TunnelLook) -> Iterator[tuple[str, RenderableType]]:
    status = look.status
    yield "way", _way(status)
    if look.lost_s is not None:
        waits = f"for {span(look.lost_s)}; new connections wait"
        yield "no way", Text(f"{waits}: {status.trouble}" if status.trouble else waits, "yellow")
    yield "second way", Text(f"through {status.standby}") if status.standby else Text("none yet", "yellow")
    yield "connections", _connections(status)
    yield "sent", _traffic(status.sent_bytes, look.sent_per_s)
    yield "received", _traffic(status.received_bytes, look.received_per_s)
    yield "way rebuilt", Text(counted(status.reconnects, "time"))
    closing = f"in {span(look.left_s)}, or with Ctrl-C"
    yield "closes", Text(closing, "yellow" if look.left_s <= _SOON_S else "")


def _way(status: TunnelStatus) -> Text:
    text = Text("this machine")
    for hop in status.hops:
        text.append(" → ", "dim").append(hop.name).append(*_latency(hop))
    return text.append(" → ", "dim").append("database")


def _latency(hop: HopStatus) -> tuple[str, str]:
    if hop.latency_s is None:
        return "", ""
    return f" {hop.latency_s * 1000:.1f} ms", "yellow" if hop.latency_s >= _SLOW_S else "green"


def _connections(status: TunnelStatus) -> Text:
    text = Text(f"{status.open_connections:,} open, {status.served_connections:,} served")
    if status.failed_connections:
        text.append(f", {status.failed_connections:,} failed", "yellow")
    return text


def _traffic(total: int, per_s: float) -> Text:
    return Text(f"{size(total)}, {size(per_s)}/s")


def tunnel_view(title: str, *, has_frame: bool) -> PlainTunnel | LiveTunnel:
    """Return the view that fits stderr, as a context manager; no frame where a client has the terminal."""
    return LiveTunnel(title) if has_frame and sys.stderr.isatty() else PlainTunnel(title)
