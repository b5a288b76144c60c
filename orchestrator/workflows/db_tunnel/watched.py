# SPDX-License-Identifier: Apache-2.0
"""Watch a tunnel from a thread while a client has the terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable

from orchestrator.errors import SlipwayError
from orchestrator.workflows.db_tunnel.watch import Watch


class Watched:
    """Watches until the tunnel ends, and closes it when its time is up."""

    def __init__(self, watch: Watch, close: Callable[[], None]) -> None:
        self._watch, self._close = watch, close
        self._thread = threading.Thread(target=self._run, name="tunnel-watch", daemon=True)
        self.is_over_time = False
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of watching: the tunnel is closed."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self.is_over_time = self._watch.until_end()
        except SlipwayError as error:
            # It is raised where the client is waited for; the operator may not wait for that.
            self._watch.tell(f"the tunnel has ended: {error.cause}")
        if self.is_over_time:
            self._watch.tell("its time is up; the tunnel is closed")
            self._close()
