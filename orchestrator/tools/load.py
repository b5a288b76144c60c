# SPDX-License-Identifier: Apache-2.0
"""Put a constant load on a page while something else happens, and count what fails.

No program that is packaged counts what we want counted: wrk keeps no rate, neither wrk nor hey checks
certificates, and hey's library repeats requests whose connection broke without telling.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.errors import RemoteError, SlipwayError
from orchestrator.ports import LoadReport, LoadRequest
from orchestrator.tools.process import Processes

PROGRAM = Path(__file__).with_name("load_program.py")
# More than a request may take, so that what was begun is answered and counted.
_MARGIN_S = 30.0
_FIRST_S = 15.0


class TlsLoad:
    """Loads pages over TLS; implements the Load port.

    Args:
        processes: Gives the programs of one load; it is stopped with it.
        authority: Gives the PEM of who may vouch for hosts.
    """

    def __init__(
        self, processes: Callable[[], Processes], *, python: Path, authority: Callable[[], str]
    ) -> None:
        self._processes = processes
        self._python = python
        self._authority = authority

    @contextmanager
    def on(self, request: LoadRequest) -> Iterator[RunningLoad]:
        """Keep the load up for the block; after it, the report is the last one."""
        running = RunningLoad(self._processes(), self._python, request, self._authority())
        running.start()
        try:
            yield running
        finally:
            running.stop()


class RunningLoad:
    """A load that goes on in a program of its own, which a thread of ours attends."""

    def __init__(self, processes: Processes, python: Path, request: LoadRequest, authority: str) -> None:
        self._processes = processes
        # Isolated: the folder of the program is no place to import from.
        self._argv = [str(python), "-I", str(PROGRAM)]
        self._stdin = json.dumps(asdict(request) | {"authority": authority}).encode()
        self._timeout_s = request.limit_s + request.timeout_s + _MARGIN_S
        self._report = LoadReport()
        self._has_begun = threading.Event()
        self._failure: SlipwayError | None = None
        self._thread = threading.Thread(target=self._attend, name="load", daemon=True)

    def start(self) -> None:
        """Begin, and return when the first answers are counted.

        Raises:
            SlipwayError: The program did not even start.
        """
        self._thread.start()
        self._has_begun.wait(_FIRST_S)
        self._raise()

    def report(self) -> LoadReport:
        """Return what came of it so far.

        Raises:
            SlipwayError: The program failed.
        """
        self._raise()
        return self._report

    def stop(self) -> None:
        """Begin no more requests, and wait for the answers of those that were begun."""
        self._processes.terminate_all()
        self._thread.join()

    def _attend(self) -> None:
        try:
            with suppress(KeyboardInterrupt):  # we have stopped it
                done = self._processes.run(
                    self._argv,
                    cwd=Path("/"),
                    environ={},
                    stdin=self._stdin,
                    timeout_s=self._timeout_s,
                    on_line=self._take,
                )
                if done.status != 0:
                    output = tuple(done.stderr.splitlines()[-10:])
                    self._failure = RemoteError("load", status=done.status, output=output)
        except SlipwayError as error:
            self._failure = error
        finally:
            self._has_begun.set()

    def _take(self, line: str) -> None:
        self._report = report_of(json.loads(line))
        if self._report.requests:
            self._has_begun.set()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure


def report_of(totals: Mapping[str, Any]) -> LoadReport:
    """Return a line of the program as a report."""
    return LoadReport(**{**totals, "examples": tuple(totals["examples"])})
