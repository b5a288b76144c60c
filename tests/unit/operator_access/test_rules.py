# SPDX-License-Identifier: Apache-2.0
"""What opens a machine's doors, word for word as sshd reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from operator_access.rules import Database, Known, database_of, files

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIi"
SHELL = "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc"
DATABASE = Database("r.db", "w.db", 3306)
API = Known(
    "sandbox",
    "api",
    authority="ssh-rsa AAAA",
    keys={"bob": f"{ED25519} his", "ada": ED25519, "eve": "nonsense", "x y": ED25519},
    blocked=frozenset({"mallory", "bob"}),
    database=DATABASE,
)


def test_a_machine_with_a_database_has_a_shell_and_two_doors_to_it() -> None:
    assert files(API) == {
        "authority": "ssh-rsa AAAA\n",
        "principals": (
            f"{SHELL} sandbox/api/shell\n"
            'restrict,port-forwarding,permitopen="r.db:3306",command="/usr/sbin/nologin" sandbox/api/reader\n'
            'restrict,port-forwarding,permitopen="w.db:3306",command="/usr/sbin/nologin" sandbox/api/writer\n'
        ),
        "keys": f'restrict,pty,port-forwarding,permitopen="r.db:3306",permitopen="w.db:3306" {ED25519}\n',
        "blocked": "bob\nmallory\n",
    }


def test_the_bastion_has_a_shell_and_leads_on_to_ssh() -> None:
    assert files(replace(API, server_class="bastion", database=None, blocked=frozenset())) == {
        "authority": "ssh-rsa AAAA\n",
        "principals": (
            f"{SHELL} sandbox/bastion/shell\n"
            'restrict,port-forwarding,permitopen="*:22",command="/usr/sbin/nologin" sandbox/bastion/jump\n'
        ),
        "keys": f'restrict,pty,port-forwarding,permitopen="*:22" {ED25519}\n' * 2,
        "blocked": "",
    }


def test_a_machine_without_a_database_has_a_shell_only() -> None:
    known = Known("production", "worker", keys={"ada": ED25519})
    assert files(known) == {
        "authority": "",
        "principals": f"{SHELL} production/worker/shell\n",
        "keys": f"restrict,pty {ED25519}\n",
        "blocked": "",
    }


@pytest.mark.parametrize("known", [API, Known("sandbox", "worker")])
def test_what_is_known_outlasts_a_restart(known: Known) -> None:
    assert Known.from_json(known.to_json()) == known


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"reader": "r.db", "writer": "w.db", "port": 3306, "name": "app", "user": "u"}', DATABASE),
        ('{"reader": "r.db", "writer": "w.db", "port": "3306"}', DATABASE),
        ('{"reader": "r.db", "writer": "w.db", "port": 0}', None),
        ('{"reader": "r.db", "writer": "w.db", "port": 65536}', None),
        ('{"reader": "*", "writer": "w.db", "port": 3306}', None),
        ('{"reader": "r.db\\",command=\\"sh", "writer": "w.db", "port": 3306}', None),
        ('{"reader": ["r"], "writer": "w.db", "port": 3306}', None),
        ('{"reader": "r.db", "port": 3306}', None),
        ("[]", None),
        ("not here", None),
    ],
)
def test_only_a_sound_endpoint_becomes_a_rule(text: str, found: Database | None) -> None:
    assert database_of(text) == found
