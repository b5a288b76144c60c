# SPDX-License-Identifier: Apache-2.0
"""The pages under /_sandbox/: the time of a simulated region, and the faults it shall have."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sandbox import fault_requests
from sandbox.api.calls import Environ, buffer_body
from sandbox.api.errors import HttpAnswer
from sandbox.clock import Runaway
from sandbox.fault_requests import BadFault
from sandbox.simulation import Simulation

BAD_REQUEST, NOT_FOUND, NOT_ALLOWED, CONFLICT, SERVER_ERROR = 400, 404, 405, 409, 500
# Ten years at once are a slip of the keyboard.
MOST_SECONDS = 10 * 366 * 86_400.0
_REAL = "the clock of a real region can't be moved, and its faults are its own"


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Controls:
    """Answers the pages."""

    def __init__(self, simulation: Simulation | None, changed: Callable[[], None]) -> None:
        self._simulation = simulation
        self._changed = changed
        self._pages: Mapping[tuple[str, str], Callable[[Simulation, Environ, str], Any]] = {
            ("clock", "GET"): self._clock,
            ("clock/advance", "POST"): self._advance,
            ("faults", "GET"): self._faults,
            ("faults", "POST"): self._add_fault,
            ("faults", "DELETE"): self._remove_faults,
        }

    def __call__(self, path: str, environ: Environ) -> HttpAnswer:
        """Answer one request."""
        try:
            return _answer(200, self._carry_out(path, environ))
        except _Refused as error:
            return _answer(error.status, {"error": str(error)})
        except BadFault as error:
            return _answer(BAD_REQUEST, {"error": str(error)})
        except Runaway as error:
            return _answer(SERVER_ERROR, {"error": str(error)})

    def _carry_out(self, path: str, environ: Environ) -> Any:
        page, _, rest = path.partition("/") if path.startswith("faults/") else (path, "", "")
        methods = [method for name, method in self._pages if name == page]
        if not methods:
            raise _Refused(NOT_FOUND, "no such page")
        if environ["REQUEST_METHOD"] not in methods:
            raise _Refused(NOT_ALLOWED, f"{page}: only {', '.join(methods)}")
        if self._simulation is None:
            raise _Refused(CONFLICT, _REAL)
        answer = self._pages[page, environ["REQUEST_METHOD"]](self._simulation, environ, rest)
        if environ["REQUEST_METHOD"] != "GET":
            self._changed()
        return answer

    def _clock(self, simulation: Simulation, environ: Environ, rest: str) -> dict[str, Any]:
        del environ, rest
        return {"now": simulation.clock.now().isoformat(), "seed": simulation.seed, "is_virtual": True}

    def _advance(self, simulation: Simulation, environ: Environ, rest: str) -> dict[str, Any]:
        del rest
        seconds = _seconds(_document(environ))
        actions = simulation.clock.advance(seconds) + simulation.clock.run_due()
        return {"now": simulation.clock.now().isoformat(), "actions": actions}

    def _faults(self, simulation: Simulation, environ: Environ, rest: str) -> dict[str, Any]:
        del environ
        faults = simulation.faults.faults
        if rest:
            return _shown(_number(simulation, rest), faults[_number(simulation, rest)])
        return {"faults": [_shown(number, fault) for number, fault in faults.items()]}

    def _add_fault(self, simulation: Simulation, environ: Environ, rest: str) -> dict[str, Any]:
        if rest:
            raise _Refused(NOT_FOUND, "a fault gets its number from the region")
        fault = fault_requests.parse(_document(environ))
        return _shown(simulation.faults.add(fault), fault)

    def _remove_faults(self, simulation: Simulation, environ: Environ, rest: str) -> dict[str, Any]:
        del environ
        faults = simulation.faults.faults
        removed = [_number(simulation, rest)] if rest else list(faults)
        for number in removed:
            del faults[number]
        return {"removed": removed}


def _shown(number: int, fault: Any) -> dict[str, Any]:
    return {"id": number, **fault_requests.describe(fault)}


def _number(simulation: Simulation, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) not in simulation.faults.faults:
        raise _Refused(NOT_FOUND, f"there is no fault {text}")
    return int(text)


def _seconds(document: Any) -> float:
    if not isinstance(document, dict) or set(document) != {"seconds"}:
        raise _Refused(BAD_REQUEST, 'the body must be {"seconds": N}')
    seconds = document["seconds"]
    if type(seconds) not in (int, float) or not 0 <= seconds <= MOST_SECONDS:
        raise _Refused(BAD_REQUEST, f"seconds: must be a number from 0 to {MOST_SECONDS:.0f}")
    return float(seconds)


def _document(environ: Environ) -> Any:
    buffer_body(environ)
    try:
        return json.loads(environ["wsgi.input"].read())
    except ValueError as error:
        raise _Refused(BAD_REQUEST, "the body must be JSON") from error


def _answer(status: int, document: Any) -> HttpAnswer:
    body = json.dumps(document, indent=2).encode() + b"\n"
    return HttpAnswer(status, {"Content-Type": "application/json"}, body)
