# SPDX-License-Identifier: Apache-2.0
"""What is typed, and what comes to stdout and to the view."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from orchestrator.commands.tunnel_screen import TunnelScreen
from orchestrator.commands.tunnel_words import TunnelWords
from orchestrator.console.tunnel import LiveTunnel, PlainTunnel, frame, tunnel_view
from orchestrator.domain.database_door import Endpoint
from orchestrator.domain.tunnel import HopStatus, TunnelState, TunnelStatus
from orchestrator.domain.tunnel_story import TunnelLook
from orchestrator.errors import ConfigError
from orchestrator.workflows.db_tunnel import Outcome, Ready, Request, Use
from orchestrator.workflows.db_tunnel.world import Plan
from tests.fakes import START
from tests.unit.db_tunnel.tunnel_world import READER, READER_HOST, SECRET, asked, environment

HOPS = (HopStatus("i-gate1", 0.0012), HopStatus("i-api4", 0.25))
STATUS = TunnelStatus(TunnelState.READY, HOPS, standby="i-api3", served_connections=2, sent_bytes=2048)
CA_URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, {}),
        (
            {"endpoint": "writer", "via": "api", "local_port": "3307", "ttl": "30m", "is_confirmed": True},
            {
                "endpoint": Endpoint.WRITER,
                "via": "api",
                "local_port": 3307,
                "ttl": timedelta(minutes=30),
                "is_confirmed": True,
            },
        ),
        (
            {"is_client": True, "user": "ann", "is_iam": True, "is_read_only": True},
            {"use": Use.CLIENT, "user": "ann", "is_iam": True, "is_read_only": True},
        ),
        ({"sql": "SELECT 1"}, {"use": Use.EXEC, "sql": "SELECT 1"}),
        ({"sql": "SELECT 1", "as_json": True}, {"use": Use.EXEC, "sql": "SELECT 1", "is_captured": True}),
        ({"has_dsn": True, "engine": "sshtunnel"}, {}),
    ],
)
def test_words_mean_a_request(words: dict[str, Any], expected: dict[str, Any]) -> None:
    assert TunnelWords("test", **words).request(environment()) == asked(**expected)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"is_client": True, "sql": "x"}, "--client, --exec and --print-dsn exclude each other"),
        ({"has_dsn": True, "sql": "x"}, "--client, --exec and --print-dsn exclude each other"),
        ({"has_dsn": True, "is_client": True}, "--client, --exec and --print-dsn exclude each other"),
        (
            {"is_client": True, "as_json": True},
            "--client is for people, --json for programs; they exclude each other",
        ),
        ({"is_iam": True}, "--iam needs a --user, for whom the token is made"),
        (
            {"user": "ann", "sql": "x"},
            "--exec asks for no password: a --user needs --iam, or leave it out for the master user",
        ),
        ({"engine": "ssh"}, "engine 'ssh': must be one of asyncssh, sshtunnel"),
        ({"endpoint": "both"}, "endpoint 'both': must be one of reader, writer"),
        ({"ttl": "8"}, "ttl '8': must be like 8h, 30m or 90s"),
        ({"local_port": "http"}, "local-port 'http': must be a number from 1 to 65535"),
    ],
)
def test_words_that_make_no_sense_are_named(words: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TunnelWords("test", **words).request(environment())
    assert caught.value.problems == (f"db-tunnel: {problem}",)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        TunnelWords("test", endpoint="x", ttl="x", local_port="x", engine="x").request(environment())
    assert len(caught.value.problems) == 4


class SeenView(PlainTunnel):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__("test")
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def shown(
    words: dict[str, Any], request: Request, *acts: Callable[[TunnelScreen], None]
) -> tuple[list[str], list[str]]:
    """Return the lines of stdout and those of the view, of a ready tunnel and of what follows."""
    view, out = SeenView(), list[str]()
    screen = TunnelScreen(environment(), TunnelWords("test", **words), view, out.append)
    plan = Plan(READER, "api", "api")
    screen.ready(
        Ready("test", "db-tunnel-1", ("127.0.0.1", 3307), plan, request, STATUS, START + request.ttl)
    )
    for act in acts:
        act(screen)
    return out, view.lines


READY_LINE = (
    "ready: 127.0.0.1:3307 -> reader of test (database levels) through i-gate1 and i-api4 of api, "
    "until 20:00 UTC"
)
ANY_CLIENT = (
    "any client: host 127.0.0.1, port 3307, database levels, TLS by the authority of "
    f"{CA_URL}; the certificate's name is the cluster's, not this host's"
)
TOKEN = (
    f"password: aws rds generate-db-auth-token --hostname {READER_HOST} --port 3306 --username ann "
    "--region us-east-1, valid for logins of 15 minutes"
)


@pytest.mark.parametrize(
    ("changes", "password"),
    [
        ({}, f"user and password: secret {SECRET}"),
        ({"user": "ann", "is_iam": True}, TOKEN),
        ({"user": "ann"}, "password: that of ann"),
    ],
)
def test_a_bare_tunnel_tells_how_to_connect_and_where_the_password_is(
    changes: dict[str, Any], password: str
) -> None:
    out, said = shown({}, asked(**changes), lambda screen: screen.hint("mariadb --defaults-file=o"))
    assert out == [READY_LINE, ANY_CLIENT, password, "mysql client: mariadb --defaults-file=o"]
    assert said == []


def test_a_dsn_is_a_line_of_its_own_without_a_password() -> None:
    out, _ = shown({"has_dsn": True}, asked(), lambda screen: screen.hint("mariadb"))
    assert out == ["mysql://127.0.0.1:3307/levels?ssl-mode=VERIFY_CA", f"password: secret {SECRET}"]
    out, _ = shown({"has_dsn": True}, asked(user="ann", is_iam=True))
    assert out == ["mysql://ann@127.0.0.1:3307/levels?ssl-mode=VERIFY_CA", TOKEN]


def test_for_programs_there_is_a_line_when_it_is_ready_and_one_at_the_end() -> None:
    outcome = Outcome(STATUS, 12.3456, is_over_time=True)
    out, said = shown(
        {"as_json": True},
        asked(),
        lambda screen: screen.hint("mariadb"),
        lambda screen: screen.closed(outcome),
    )
    assert [json.loads(line) for line in out] == [
        {
            "event": "ready",
            "session": "db-tunnel-1",
            "environment": "test",
            "endpoint": "reader",
            "database": "levels",
            "host": "127.0.0.1",
            "port": 3307,
            "user": "",
            "secret": SECRET,
            "dsn": "mysql://127.0.0.1:3307/levels?ssl-mode=VERIFY_CA",
            "ca_url": CA_URL,
            "fleet": "api",
            "hops": ["i-gate1", "i-api4"],
            "ends_at": "2026-01-01T20:00:00+00:00",
        },
        {
            "event": "closed",
            "exit_code": 0,
            "is_over_time": True,
            "seconds": 12.346,
            "connections": 2,
            "failed_connections": 0,
            "sent_bytes": 2048,
            "received_bytes": 0,
            "reconnects": 0,
        },
    ]
    assert said == []


def test_the_terminal_of_a_client_gets_one_line_and_stdout_none() -> None:
    outcome = Outcome(STATUS, 65.0, exit_code=1)
    out, said = shown({"is_client": True}, asked(use=Use.CLIENT), lambda screen: screen.closed(outcome))
    assert out == []
    assert said == [READY_LINE, "open for 1:05: 2 connections; 2.0 KiB sent, 0 B received"]


def test_a_run_of_sql_prints_nothing_but_its_result() -> None:
    outcome = Outcome(STATUS, 1.0, exit_code=1, output="1\n1\n")
    request = asked(use=Use.EXEC, sql="SELECT 1")
    assert shown({"sql": "SELECT 1"}, request, lambda screen: screen.closed(outcome)) == ([], [])
    words = {"sql": "SELECT 1", "as_json": True}
    out, said = shown(words, request, lambda screen: screen.closed(outcome))
    assert (out, said) == (['{"exit_code": 1, "output": "1\\n1\\n"}'], [])


def test_a_bare_tunnel_says_at_its_end_what_it_carried() -> None:
    def end(**changes: Any) -> Callable[[TunnelScreen], None]:
        return lambda screen: screen.closed(replace(Outcome(STATUS, 65.0), **changes))

    told = "open for 1:05: 2 connections; 2.0 KiB sent, 0 B received"
    assert shown({}, asked(), end())[1] == [told]
    assert shown({}, asked(), end(is_over_time=True))[1] == [f"its time is up; {told}"]


def terminal() -> Console:
    return Console(file=io.StringIO(), width=90, force_terminal=True, color_system=None)


def drawn(look: TunnelLook) -> list[str]:
    console = Console(file=io.StringIO(), width=90)
    console.print(frame("db-tunnel test", look))
    assert isinstance(console.file, io.StringIO)
    return [line.strip("│ ") for line in console.file.getvalue().splitlines()[1:-1]]


def test_a_frame_has_the_way_its_latencies_traffic_and_time() -> None:
    status = replace(STATUS, open_connections=1, failed_connections=3, reconnects=1)
    assert drawn(TunnelLook(status, 1536.0, 0.0, 28_770.0)) == [
        "way          this machine → i-gate1 1.2 ms → i-api4 250.0 ms → database",
        "second way   through i-api3",
        "connections  1 open, 2 served, 3 failed",
        "sent         2.0 KiB, 1.5 KiB/s",
        "received     0 B, 0 B/s",
        "way rebuilt  1 time",
        "closes       in 7:59:30, or with Ctrl-C",
    ]


def test_a_frame_tells_for_how_long_there_has_been_no_way_and_why() -> None:
    lost = TunnelStatus(TunnelState.REBUILDING, trouble="i-api4 is gone")
    assert drawn(TunnelLook(lost, 0.0, 0.0, 60.0, lost_s=4.0))[:3] == [
        "way          this machine → database",
        "no way       for 0:04; new connections wait: i-api4 is gone",
        "second way   none yet",
    ]


def test_the_live_view_draws_its_frame_with_the_first_look_and_takes_it_away() -> None:
    console = terminal()
    assert isinstance(console.file, io.StringIO)
    with LiveTunnel("db-tunnel test", console) as view:
        view.say("first")
        assert console.file.getvalue() == "db-tunnel test: first\n"
        view.show(TunnelLook(STATUS, 0.0, 0.0, 60.0))
        assert "db-tunnel test: ready" in console.file.getvalue()
        view.say("second")
        assert "db-tunnel test: second\n" in console.file.getvalue()


def test_without_a_terminal_there_are_lines_only(capsys: pytest.CaptureFixture[str]) -> None:
    with tunnel_view("db-tunnel test", has_frame=True) as view:
        view.say("lost the way")
        view.show(TunnelLook(STATUS, 0.0, 0.0, 60.0))
    assert capsys.readouterr() == ("", "db-tunnel test: lost the way\n")
