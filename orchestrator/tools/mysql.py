# SPDX-License-Identifier: Apache-2.0
"""The command lines and option files of MariaDB's and MySQL's client. Pure.

Programs read where to connect and what the password is from an option file, so that no list of processes
shows it; it is the only one they read, or a password in somebody's ~/.my.cnf would win over ours.
https://mariadb.com/kb/en/configuring-mariadb-with-option-files/
https://dev.mysql.com/doc/refman/8.0/en/option-files.html
"""

from __future__ import annotations

from enum import StrEnum

from orchestrator.ports import DatabaseSession

READ_ONLY = "SET SESSION TRANSACTION READ ONLY"
# With the database in use.
_PROMPT = r" [\d]> "
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Brand(StrEnum):
    """Whose client it is; the value is the program's name."""

    MARIADB = "mariadb"
    MYSQL = "mysql"


def option_file(session: DatabaseSession, brand: Brand, *, certificates: str) -> str:
    """Return the options of a session: `[client]` is for all programs of the brand, `[mysql]` for its client.

    Args:
        certificates: The path of the file with the certificates.
    """
    host, port = session.address
    lines = ["[client]", f"host={_quoted(host)}", f"port={port}", "protocol=tcp"]
    lines += [f"user={_quoted(session.user)}"] if session.user else []
    lines += [f"password={_quoted(session.password)}"] if session.password is not None else []
    lines += [f"ssl-ca={_quoted(certificates)}", *_verification(brand)]
    # RDS takes tokens as they are, so the client has to send them so; it does over TLS only.
    lines += ["enable-cleartext-plugin"] if brand is Brand.MYSQL and session.has_token else []
    lines += ["", "[mysql]", f"database={_quoted(session.database)}"]
    lines += [f"init-command={_quoted(READ_ONLY)}"] if session.is_read_only else []
    lines += [f"prompt={_quoted(session.title + _PROMPT)}"] if session.title else []
    return "".join(f"{line}\n" for line in lines)


def _verification(brand: Brand) -> tuple[str, ...]:
    """Return what lets the authority be checked, but not the name: the certificate is not for 127.0.0.1."""
    if brand is Brand.MYSQL:
        return ("ssl-mode=VERIFY_CA",)
    # With ssl-ca it checks the authority in any case; this is on by default from 11.4 and adds the name.
    return ("ssl-verify-server-cert=0",)


def _quoted(value: str) -> str:
    return '"' + "".join(_ESCAPES.get(each, each) for each in value) + '"'


def interactive_argv(brand: Brand, options: str, session: DatabaseSession) -> tuple[str, ...]:
    """Return what starts the client on a terminal; it asks for a password that it was not given."""
    return (brand.value, _options(options), *(() if session.password is not None else ("--password",)))


def batch_argv(brand: Brand, options: str) -> tuple[str, ...]:
    """Return what runs SQL from stdin and prints rows with tabs between their columns.

    It does not connect again: a script that goes on in a new session has lost its transaction. Statements are
    not repeated in errors, some hold passwords.
    """
    quiet = ("--skip-print-query-on-error",) if brand is Brand.MARIADB else ()
    return (brand.value, _options(options), "--batch", "--skip-reconnect", *quiet)


def hint(brand: Brand, options: str, session: DatabaseSession) -> str:
    """Return the line that people type to connect."""
    return " ".join(
        (brand.value, _options(options), *(() if session.user else ("--user=USER",)), "--password")
    )


def _options(path: str) -> str:
    # It must come first.
    return f"--defaults-file={path}"
