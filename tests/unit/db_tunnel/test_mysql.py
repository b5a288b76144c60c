# SPDX-License-Identifier: Apache-2.0
"""Option files and command lines of the database's client, and that nothing secret is in the latter."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import Refused
from orchestrator.ports import CommandResult, DatabaseSession
from orchestrator.tools.mysql import Brand, batch_argv, hint, interactive_argv, option_file
from orchestrator.tools.mysql_client import MysqlClient
from orchestrator.tools.process import Processes

NASTY = "p\"a\\'s #;s\tx"
SESSION = DatabaseSession(
    address=("127.0.0.1", 3307),
    database="levels",
    certificates="PEM\n",
    user="ann",
    password=NASTY,
    title="test reader",
)
UNNAMED = replace(SESSION, user="", password=None)

MARIADB = r"""[client]
host="127.0.0.1"
port=3307
protocol=tcp
user="ann"
password="p\"a\\'s #;s\tx"
ssl-ca="/ca.pem"
ssl-verify-server-cert=0

[mysql]
database="levels"
init-command="SET SESSION TRANSACTION READ ONLY"
prompt="test reader [\\d]> "
"""
MYSQL = r"""[client]
host="127.0.0.1"
port=3307
protocol=tcp
user="ann"
password="p\"a\\'s #;s\tx"
ssl-ca="/ca.pem"
ssl-mode=VERIFY_CA
enable-cleartext-plugin

[mysql]
database="levels"
"""


def test_the_option_file_of_mariadb_checks_the_authority_and_begins_read_only() -> None:
    assert option_file(SESSION, Brand.MARIADB, certificates="/ca.pem") == MARIADB


def test_the_option_file_of_mysql_sends_tokens_as_they_are() -> None:
    session = replace(SESSION, has_token=True, is_read_only=False, title="")
    assert option_file(session, Brand.MYSQL, certificates="/ca.pem") == MYSQL


def test_passwords_of_mysql_are_not_sent_as_they_are() -> None:
    assert "cleartext" not in option_file(SESSION, Brand.MYSQL, certificates="/ca.pem")


def test_what_is_not_known_is_not_in_the_option_file() -> None:
    text = option_file(UNNAMED, Brand.MARIADB, certificates="/ca.pem")
    assert [line for line in text.splitlines() if re.match("user|password", line)] == []


def test_no_option_can_be_smuggled_in() -> None:
    text = option_file(replace(SESSION, password='x"\nhost=evil'), Brand.MARIADB, certificates="/ca.pem")
    assert 'password="x\\"\\nhost=evil"' in text.splitlines()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (interactive_argv(Brand.MARIADB, "/o", SESSION), ("mariadb", "--defaults-file=/o")),
        (interactive_argv(Brand.MYSQL, "/o", UNNAMED), ("mysql", "--defaults-file=/o", "--password")),
        (
            batch_argv(Brand.MARIADB, "/o"),
            (
                "mariadb",
                "--defaults-file=/o",
                "--batch",
                "--skip-reconnect",
                "--skip-print-query-on-error",
            ),
        ),
        (batch_argv(Brand.MYSQL, "/o"), ("mysql", "--defaults-file=/o", "--batch", "--skip-reconnect")),
        (
            hint(Brand.MARIADB, "/o", UNNAMED).split(),
            ["mariadb", "--defaults-file=/o", "--user=USER", "--password"],
        ),
        (hint(Brand.MYSQL, "/o", SESSION).split(), ["mysql", "--defaults-file=/o", "--password"]),
    ],
)
def test_command_lines(argv: Sequence[str], expected: Sequence[str]) -> None:
    assert argv == expected


@dataclass
class SeenTerminal:
    """Keeps what it is asked to run."""

    runs: list[dict[str, Any]] = field(default_factory=list)

    def attend(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        descriptors: Mapping[int, bytes] | None = None,
        stdin: bytes | None = None,
    ) -> int:
        self.runs.append({"argv": argv, "environ": environ, "descriptors": descriptors, "stdin": stdin})
        return 5


@pytest.fixture(name="environ")
def fixture_environ(tmp_path: Path) -> dict[str, str]:
    """A PATH with a client that shows how it was started, and the modes of its files."""
    program = tmp_path / "mariadb"
    program.write_text(
        '#!/bin/sh\necho "$@"\nfile="${1#--defaults-file=}"\nstat -L -c %a "$file" "$(dirname "$file")"\n'
        'cat "$file"; cat "$(dirname "$file")/ca.pem"\ncat; exit 3\n'
    )
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_secrets_reach_the_client_by_descriptors_only(environ: dict[str, str]) -> None:
    terminal = SeenTerminal()
    client = MysqlClient(terminal, Processes("test"), environ)
    options = MARIADB.replace("/ca.pem", "/dev/fd/21").encode()
    assert client.interact(SESSION) == 5
    assert client.execute(SESSION, "SELECT 'ü'") == 5
    shown = {"environ": environ, "descriptors": {20: options, 21: b"PEM\n"}}
    first = ("mariadb", "--defaults-file=/dev/fd/20")
    quiet = ("--batch", "--skip-reconnect", "--skip-print-query-on-error")
    assert terminal.runs == [
        shown | {"argv": first, "stdin": None},
        shown | {"argv": (*first, *quiet), "stdin": "SELECT 'ü'".encode()},
    ]


def test_what_is_captured_had_its_secrets_in_a_private_file_that_is_gone(environ: dict[str, str]) -> None:
    result = MysqlClient(SeenTerminal(), Processes("test"), environ).capture(SESSION, "SELECT 1")
    path = re.match("--defaults-file=(/[^ ]+) ", result.stdout)
    assert path is not None
    folder = Path(path[1]).parent
    expected = MARIADB.replace("/ca.pem", f"{folder}/ca.pem")
    argv = f"--defaults-file={path[1]} --batch --skip-reconnect --skip-print-query-on-error"
    assert result == CommandResult(3, f"{argv}\n600\n700\n{expected}PEM\nSELECT 1", "")
    assert not folder.exists()


def test_options_for_clients_of_ones_own_have_no_password_and_go(environ: dict[str, str]) -> None:
    client = MysqlClient(SeenTerminal(), Processes("test"), environ)
    with client.options(UNNAMED) as line:
        path = Path(line.split()[1].removeprefix("--defaults-file="))
        assert line == f"mariadb --defaults-file={path} --user=USER --password"
        assert (path.parent / "ca.pem").read_text() == "PEM\n"
        text = path.read_text()
        assert text == option_file(UNNAMED, Brand.MARIADB, certificates=str(path.parent / "ca.pem"))
    assert not path.parent.exists()


def test_without_a_client_the_hint_is_for_mysql_and_a_run_is_refused(tmp_path: Path) -> None:
    client = MysqlClient(SeenTerminal(), Processes("test"), {"PATH": str(tmp_path)})
    with client.options(UNNAMED) as line:
        assert line.startswith("mysql --defaults-file=")
    with pytest.raises(Refused) as caught:
        client.interact(SESSION)
    assert caught.value.cause == "neither it nor mysql is installed"


def test_a_session_that_is_shown_shows_no_password() -> None:
    assert repr(SESSION) == "DatabaseSession(ann@127.0.0.1:3307/levels)"
