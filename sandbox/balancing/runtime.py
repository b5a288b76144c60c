# SPDX-License-Identifier: Apache-2.0
"""Ask a running HAProxy through its sockets, and tell a new one what the old one knew.

https://docs.haproxy.org/2.6/management.html, chapter 9
"""

from __future__ import annotations

import csv
import io
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sandbox.balancing.backends import SPARE
from sandbox.balancing.health import Check
from sandbox.balancing.nodes import Count, Place, Traffic
from sandbox.balancing.shape import TargetGroup

_TIMEOUT_S = 2.0
_CLASSES = ("2xx", "3xx", "4xx", "5xx")
_STATE_VERSION = "1\n"
_UP, _DOWN = 2, 0


def ask(path: Path, command: str) -> str:
    """Return the answer to one command.

    Raises:
        OSError: nobody listens.
    """
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(_TIMEOUT_S)
        channel.connect(str(path))
        channel.sendall(f"{command}\n".encode())
        # A master, unlike a worker, waits for more until it hears that there is none.
        channel.shutdown(socket.SHUT_WR)
        answer = io.BytesIO()
        while part := channel.recv(65536):
            answer.write(part)
    return answer.getvalue().decode()


def worker_pid(path: Path) -> int:
    """Return the process id of the worker that serves new connections."""
    lines = (line.partition(": ") for line in ask(path, "show info").splitlines())
    return int(next(value for name, _, value in lines if name == "Pid"))


def old_workers(master: Path) -> list[int]:
    """Return the process ids of workers that only end what they have begun."""
    _, _, old = ask(master, "show proc").partition("# old workers")
    lines = (line.split() for line in old.splitlines())
    return [int(words[0]) for words in lines if len(words) > 1 and words[1] == "worker"]


def sessions(answer: str) -> dict[str, Place]:
    """Return the sessions of `show sess` that have a target, by their id."""
    found = {}
    for line in answer.splitlines():
        number, _, rest = line.partition(": ")
        values = dict(word.split("=", 1) for word in rest.split() if "=" in word)
        if number.startswith("0x"):
            found[number] = (values.get("be", ""), values.get("srv", "").removeprefix(SPARE))
    return found


def statistics(answer: str) -> list[dict[str, str]]:
    """Return the rows of `show stat`."""
    return list(csv.DictReader(io.StringIO(answer.removeprefix("# "))))


def checks(rows: Iterable[Mapping[str, str]]) -> dict[Place, Check]:
    """Return what was last seen of each target."""
    return {
        (row["pxname"], row["svname"]): Check(
            # "UP 1/2" is a target that has begun to fail, "DOWN 1/2" one that has begun to recover.
            row["status"].startswith("UP"),
            # "* L4CON" is a check that runs now, shown with the result of the one before it.
            row["check_status"].removeprefix("* "),
            row["check_code"],
        )
        for row in _servers(rows)
        if not row["svname"].startswith(SPARE)
    }


def traffic(rows: Iterable[Mapping[str, str]]) -> Traffic:
    """Return all traffic since the worker began."""
    total = Traffic()
    listed = list(rows)
    for row in listed:
        if row["svname"] == "FRONTEND" and row["pxname"].startswith("listener-"):
            total.clients.add(Count(int(row["req_tot"]), _answers(row)))
        if row["svname"] == "BACKEND":
            total.groups.setdefault(row["pxname"], Count()).add(Count(int(row["req_tot"] or 0)))
    for row in _servers(listed):
        total.groups.setdefault(row["pxname"], Count()).add(Count(0, _answers(row)))
    return total


def difference(now: Traffic, before: Traffic) -> Traffic:
    """Return what came since `before`."""
    return Traffic(
        _less(now.clients, before.clients),
        {name: _less(count, before.groups.get(name, Count())) for name, count in now.groups.items()},
    )


def server_states(groups: Iterable[TargetGroup], known: str) -> str:
    """Return the state file for a new worker: targets stand as `known` (`show servers state`) has them.

    A target that is not in it is down until its first check succeeds. HAProxy alone would take it for up.
    """
    rows = (line.split() for line in known.splitlines()[2:])
    before = {(row[1], row[3], row[4], row[18]): row for row in rows if len(row) > 18}  # noqa: PLR2004
    return _STATE_VERSION + "".join(_state_lines(groups, before))


def _state_lines(
    groups: Iterable[TargetGroup], before: Mapping[tuple[str, str, str, str], list[str]]
) -> Iterator[str]:
    for number, group in enumerate(groups, start=1):
        rise, fall = group.health_check.healthy_threshold, group.health_check.unhealthy_threshold
        for index, target in enumerate(group.targets, start=1):
            row = before.get((group.name, target.name, target.address, str(target.port)))
            is_up = row is not None and row[5] != "0"
            health = rise + fall - 1 if is_up else rise - 1
            if row is not None and not is_up:
                health = min(health, int(row[12]))
            since_s = row[9] if row is not None else "0"
            state = f"{_UP if is_up else _DOWN} 0 1 1 {since_s} 1 0 {health} 6 0 0 0"
            place = f"{number} {group.name} {index} {target.name} {target.address}"
            yield f"{place} {state} - {target.port} - 0 0 - - 0\n"


def _servers(rows: Iterable[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    yield from (row for row in rows if row["svname"] not in {"FRONTEND", "BACKEND"})


def _answers(row: Mapping[str, str]) -> dict[str, int]:
    return {kind: int(row[f"hrsp_{kind}"] or 0) for kind in _CLASSES}


def _less(now: Count, before: Count) -> Count:
    kinds = {kind: number - before.answers.get(kind, 0) for kind, number in now.answers.items()}
    return Count(now.requests - before.requests, kinds)
