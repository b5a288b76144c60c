# SPDX-License-Identifier: Apache-2.0
"""Run MariaDB's or MySQL's client, whichever is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import Refused
from orchestrator.ports import CommandResult, DatabaseSession, Terminal
from orchestrator.tools.mysql import Brand, batch_argv, hint, interactive_argv, option_file
from orchestrator.tools.process import Processes

# Free in a program that has just started.
_OPTIONS, _CERTIFICATES = 20, 21
_LONGEST_RUN_S = 24 * 3600.0
_PRIVATE = 0o600


class MysqlClient:
    """The client of this machine. Passwords are never in argv, in its environment or on a disk.

    Only `capture` writes one, into a private folder that goes with the run.
    """

    def __init__(self, terminal: Terminal, programs: Processes, environ: Mapping[str, str]) -> None:
        self._terminal, self._programs, self._environ = terminal, programs, environ

    def interact(self, session: DatabaseSession) -> int:
        brand = self._brand()
        argv = interactive_argv(brand, _descriptor(_OPTIONS), session)
        return self._terminal.attend(argv, environ=self._environ, descriptors=_descriptors(brand, session))

    def execute(self, session: DatabaseSession, sql: str) -> int:
        brand = self._brand()
        return self._terminal.attend(
            batch_argv(brand, _descriptor(_OPTIONS)),
            environ=self._environ,
            descriptors=_descriptors(brand, session),
            stdin=sql.encode(),
        )

    def capture(self, session: DatabaseSession, sql: str) -> CommandResult:
        brand = self._brand()
        with self._files(brand, session) as options:
            return self._programs.run(
                batch_argv(brand, options),
                cwd=Path(options).parent,
                environ=self._environ,
                stdin=sql.encode(),
                timeout_s=_LONGEST_RUN_S,
            )

    @contextmanager
    def options(self, session: DatabaseSession) -> Iterator[str]:
        brand = self._brand(or_else=Brand.MYSQL)
        with self._files(brand, session) as options:
            yield hint(brand, options, session)

    @contextmanager
    def _files(self, brand: Brand, session: DatabaseSession) -> Iterator[str]:
        with self._programs.scratch() as folder:
            certificates, options = folder / "ca.pem", folder / "options.cnf"
            certificates.write_text(session.certificates, "ascii")
            options.touch(_PRIVATE)
            options.write_text(option_file(session, brand, certificates=str(certificates)), "utf-8")
            yield str(options)

    def _brand(self, *, or_else: Brand | None = None) -> Brand:
        path = self._environ.get("PATH")
        # First: where it is, `mysql` is another name for it.
        for brand in Brand:
            if shutil.which(brand.value, path=path):
                return brand
        if or_else is not None:
            return or_else
        raise Refused(
            "run mariadb", "neither it nor mysql is installed", next_command="./inv, which installs it"
        )


def _descriptors(brand: Brand, session: DatabaseSession) -> dict[int, bytes]:
    options = option_file(session, brand, certificates=_descriptor(_CERTIFICATES))
    return {_OPTIONS: options.encode(), _CERTIFICATES: session.certificates.encode("ascii")}


def _descriptor(number: int) -> str:
    return f"/dev/fd/{number}"
