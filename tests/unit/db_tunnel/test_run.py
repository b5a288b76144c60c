# SPDX-License-Identifier: Apache-2.0
"""A tunnel from its opening to its end: what is told meanwhile, what is recorded, with what it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from orchestrator.domain.database_door import Endpoint
from orchestrator.domain.tunnel import HopStatus, TunnelState
from orchestrator.errors import (
    AwsError,
    DatabaseUnreachable,
    DoorError,
    HostKeyChanged,
    KeyRefused,
    MachineMissing,
    PortBusy,
    Refused,
    TokenExpired,
)
from orchestrator.ports import DatabaseSession, TunnelOptions
from orchestrator.workflows.db_tunnel import Outcome, Ready, Use
from orchestrator.workflows.db_tunnel.world import Plan
from tests.fakes.tunnels import ADDRESS, FakeTunnel
from tests.unit.db_tunnel.tunnel_world import (
    CERTIFICATES,
    READER,
    READER_HOST,
    SECRET,
    WRITER_HOST,
    TunnelLab,
    asked,
)

Step = Callable[[FakeTunnel], None]
HOPS = (HopStatus("i-gate1", 0.001), HopStatus("i-api4", 0.001))


def interrupt(_: FakeTunnel) -> None:
    raise KeyboardInterrupt


def passes(lab: TunnelLab, seconds: float) -> Step:
    return lambda _: lab.clock.advance(seconds)


def becomes(**changes: object) -> Step:
    return lambda tunnel: tunnel.become(**changes)


def fails(error: BaseException) -> Step:
    return lambda tunnel: tunnel.fail(error)


def test_a_bare_tunnel_is_ready_stays_and_closes_when_its_time_is_up() -> None:
    lab = TunnelLab()
    request = asked(ttl=timedelta(minutes=10), local_port=3307)
    lab.tunnels.steps = [passes(lab, 1), passes(lab, 300), passes(lab, 298), passes(lab, 1)]
    outcome = lab.run(request)
    [tunnel] = lab.tunnels.opened
    begun = lab.clock.now() - timedelta(minutes=10)
    assert lab.tunnels.options == [TunnelOptions(local_port=3307)]
    [ready] = lab.screen.readies
    plan = Plan(READER, "api", "api", lab.directory.machines)
    assert ready == Ready(
        "test", "db-tunnel-1", ADDRESS, plan, request, ready.status, begun + timedelta(minutes=10)
    )
    assert lab.screen.lines == ["closes in 4:59; a longer --ttl keeps the next one open"]
    assert [look.left_s for look in lab.screen.looks] == [599, 299, 1, 0]
    assert outcome == Outcome(lab.screen.outcomes[0].status, 600.0, is_over_time=True)
    assert lab.screen.outcomes == [outcome]
    assert tunnel.now.state is TunnelState.CLOSED


def test_a_tunnel_for_minutes_warns_of_nothing() -> None:
    lab = TunnelLab()
    lab.tunnels.steps = [passes(lab, 60), passes(lab, 240)]
    lab.run(asked(ttl=timedelta(minutes=5)))
    assert lab.screen.lines == []


def test_time_in_which_this_machine_slept_counts() -> None:
    lab = TunnelLab()
    lab.tunnels.steps = [lambda _: lab.clock.set_wall(lab.clock.now() + timedelta(hours=9))]
    assert lab.run(asked()).is_over_time


def test_for_a_bare_tunnel_no_password_is_fetched_and_the_options_go_with_it() -> None:
    lab = TunnelLab()
    kept: list[list[str]] = []
    lab.tunnels.steps = [lambda _: kept.append(list(lab.client.kept)), interrupt]
    with pytest.raises(KeyboardInterrupt):
        lab.run(asked(user="ann", is_iam=True))
    assert lab.logins.calls == []
    assert lab.client.sessions == [
        DatabaseSession(ADDRESS, "levels", CERTIFICATES, user="ann", title="test reader")
    ]
    assert lab.screen.hints == ["mariadb --defaults-file=options"]
    assert (kept, lab.client.kept) == ([["options"]], [])


def test_a_bare_tunnel_opens_though_the_certificates_cannot_be_fetched() -> None:
    lab = TunnelLab()
    lab.fetch_certificates = lambda: _raise(AwsError("web", "GET", "503", "away"))  # type: ignore[method-assign]
    lab.tunnels.steps = [interrupt]
    with pytest.raises(KeyboardInterrupt):
        lab.run(asked())
    assert lab.screen.lines == ["warning: the database's certificates can't be fetched: 503: away"]
    assert lab.screen.hints == []


def _raise(error: BaseException) -> str:
    raise error


def test_what_happens_to_it_is_told() -> None:
    lab = TunnelLab()
    other = (HopStatus("i-gate1"), HopStatus("i-api3"))
    lab.tunnels.steps = [
        becomes(standby="i-api3"),
        becomes(state=TunnelState.REBUILDING, hops=(), standby="", trouble="i-api4 is gone."),
        passes(lab, 2.5),
        becomes(state=TunnelState.READY, hops=other, reconnects=1, trouble=""),
        interrupt,
    ]
    with pytest.raises(KeyboardInterrupt):
        lab.run(asked())
    assert lab.screen.lines == [
        "second way through i-api3 is ready",
        "lost the way: i-api4 is gone; new connections wait",
        "back after 2.5 s through i-gate1 and i-api3",
    ]
    assert [look.lost_s for look in lab.screen.looks] == [None, 0.0, 2.5, None]


def test_ctrl_c_closes_it_records_that_and_says_so() -> None:
    lab = TunnelLab()
    lab.tunnels.steps = [passes(lab, 2), interrupt]
    with pytest.raises(KeyboardInterrupt, match="^the tunnel is closed$"):
        lab.run(asked())
    assert [outcome.exit_code for outcome in lab.screen.outcomes] == [130]
    assert [record["event"] for record in lab.audit.records] == ["began", "ended"]
    assert lab.audit.records[1]["exit_code"] == 130


def test_ctrl_c_while_the_audit_trail_is_told_of_the_beginning_is_an_end_like_any_other() -> None:
    lab = TunnelLab()
    lab.audit.fail("write", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt, match="^the tunnel is closed$"):
        lab.run(asked())
    assert [outcome.exit_code for outcome in lab.screen.outcomes] == [130]
    assert [record["event"] for record in lab.audit.records] == ["ended"]


def test_the_tunnel_is_closed_before_the_audit_trail_is_told_of_its_end() -> None:
    lab = TunnelLab()
    states: list[TunnelState] = []
    lab.audit.after_call = lambda _: states.append(lab.tunnels.opened[0].now.state)
    lab.tunnels.steps = [interrupt]
    with pytest.raises(KeyboardInterrupt):
        lab.run(asked())
    assert states == [TunnelState.READY, TunnelState.CLOSED]


@pytest.mark.parametrize("kind", [KeyRefused, HostKeyChanged, DatabaseUnreachable, TokenExpired])
def test_a_tunnel_that_ends_for_good_ends_the_command_with_its_reason(kind: type[DoorError]) -> None:
    lab = TunnelLab()
    lab.tunnels.steps = [passes(lab, 1), fails(kind("tunnel", "for good"))]
    with pytest.raises(kind):
        lab.run(asked())
    assert [record["event"] for record in lab.audit.records] == ["began", "ended"]
    assert lab.audit.records[1]["exit_code"] == kind.exit_code
    assert lab.screen.outcomes == []


@pytest.mark.parametrize("kind", [PortBusy, KeyRefused, HostKeyChanged, MachineMissing, DatabaseUnreachable])
def test_a_tunnel_that_does_not_open_leaves_no_record(kind: type[DoorError]) -> None:
    lab = TunnelLab()
    lab.tunnels.fail("open", kind("tunnel", "no"))
    with pytest.raises(kind):
        lab.run(asked())
    assert (lab.audit.records, lab.screen.readies) == ([], [])


def test_the_audit_trail_is_told_of_beginning_and_end() -> None:
    lab = TunnelLab()
    changes = {"served_connections": 3, "sent_bytes": 10, "received_bytes": 20, "reconnects": 1}
    lab.tunnels.steps = [passes(lab, 2.5), becomes(**changes), interrupt]
    with pytest.raises(KeyboardInterrupt):
        lab.run(asked(endpoint=Endpoint.WRITER))
    began, ended = lab.audit.records
    base = {
        "session": "db-tunnel-1",
        "environment": "test",
        "fleet": "api",
        "instance_id": "i-api4",
        "user": "admin",
        "who": "ann",
        "door": "writer",
        "certificate_serial": began["certificate_serial"],
        "key_fingerprint": began["key_fingerprint"],
        "operator": "ann@laptop",
        "target": f"{WRITER_HOST}:3306",
        "via": ["i-gate1", "i-api4"],
        "endpoint": "writer",
        "began": "2026-01-01T12:00:00.000Z",
    }
    assert began == base | {"event": "began"}
    assert ended == base | {
        "event": "ended",
        "ended": "2026-01-01T12:00:02.500Z",
        "seconds": 2.5,
        "sent_bytes": 10,
        "received_bytes": 20,
        "connections": 3,
        "reconnects": 1,
        "exit_code": 130,
    }
    assert str(began["certificate_serial"]).isdigit()
    assert str(began["key_fingerprint"]).startswith("SHA256:")
    assert list(lab.audit.objects) == [
        "access/2026/01/01/operators-db-tunnel-1-began.json",
        "access/2026/01/01/operators-db-tunnel-1-ended.json",
    ]


def test_an_audit_trail_that_cannot_be_told_is_warned_of_and_stops_nobody() -> None:
    lab = TunnelLab()
    error = AwsError("logs", "PutLogEvents", "AccessDeniedException", "no")
    lab.audit.fail("write", error, error)
    lab.client.status = 3
    assert lab.run(asked(use=Use.EXEC, sql="SELECT 1")).exit_code == 3
    warning = "warning: the audit trail was not told: AccessDeniedException: no"
    assert lab.screen.lines == [warning, warning]


def session(user: str, password: str | None, **values: bool | str) -> DatabaseSession:
    title = {"title": "test reader"} | values
    return DatabaseSession(ADDRESS, "levels", CERTIFICATES, user, password, **title)  # type: ignore[arg-type]


def test_the_client_logs_in_as_master_with_what_rds_keeps() -> None:
    lab = TunnelLab()
    lab.client.status = 7
    outcome = lab.run(asked(use=Use.CLIENT))
    assert (lab.client.calls, lab.logins.calls) == (["interact"], ["secret"])
    assert lab.client.sessions == [session("slipway", "a secret", is_read_only=True)]
    assert (outcome.exit_code, lab.audit.records[1]["exit_code"]) == (7, 7)
    assert lab.tunnels.opened[0].now.state is TunnelState.CLOSED


def test_a_token_is_made_for_the_cluster_and_not_for_the_local_port() -> None:
    lab = TunnelLab()
    lab.run(asked(use=Use.CLIENT, user="ann", is_iam=True))
    token = f"{READER_HOST}:3306/?DBUser=ann"
    assert lab.client.sessions == [session("ann", token, has_token=True, is_read_only=True)]
    assert lab.logins.calls == ["token"]


def test_a_user_with_a_password_of_his_own_is_asked_for_it_by_the_client() -> None:
    lab = TunnelLab()
    lab.run(asked(use=Use.CLIENT, user="ann"))
    assert lab.client.sessions == [session("ann", None, is_read_only=True)]
    assert lab.logins.calls == []


@pytest.mark.parametrize(
    ("endpoint", "is_read_only", "expected"),
    [
        (Endpoint.READER, False, True),
        (Endpoint.READER, True, True),
        (Endpoint.WRITER, False, False),
        (Endpoint.WRITER, True, True),
    ],
)
def test_sessions_are_read_only_unless_the_writer_is_asked_for(
    endpoint: Endpoint, is_read_only: bool, expected: bool
) -> None:
    lab = TunnelLab()
    lab.run(asked(use=Use.EXEC, sql="SELECT 1", endpoint=endpoint, is_read_only=is_read_only))
    title = f"test {endpoint.value}"
    assert lab.client.sessions == [session("slipway", "a secret", is_read_only=expected, title=title)]


def test_sql_goes_to_the_client_which_prints_and_whose_code_is_passed_on() -> None:
    lab = TunnelLab()
    lab.client.status = 1
    outcome = lab.run(asked(use=Use.EXEC, sql="SELEC 1"))
    assert (lab.client.calls, lab.client.sql) == (["execute"], ["SELEC 1"])
    assert (outcome.exit_code, outcome.output, lab.screen.lines) == (1, "", [])


def test_what_sql_prints_is_kept_when_it_is_wanted_as_data() -> None:
    lab = TunnelLab()
    lab.client.output = "1\n1\n"
    outcome = lab.run(asked(use=Use.EXEC, sql="SELECT 1", is_captured=True))
    assert (lab.client.calls, outcome.exit_code, outcome.output) == (["capture"], 0, "1\n1\n")
    assert lab.screen.lines == ["a warning of the client"]


def test_while_the_client_runs_changes_are_told() -> None:
    lab = TunnelLab()
    lab.tunnels.steps = [becomes(standby="i-api3"), becomes(reconnects=1, standby="")]
    lab.client.during = lambda: _until(lambda: bool(lab.screen.lines))
    lab.run(asked(use=Use.CLIENT))
    assert lab.screen.lines == ["lost the way; goes on through i-gate1 and i-api4"]


def test_only_a_run_of_sql_needs_no_second_way() -> None:
    lab = TunnelLab()
    lab.run(asked(use=Use.EXEC, sql="SELECT 1"))
    lab.run(asked(use=Use.CLIENT))
    assert lab.tunnels.options == [TunnelOptions(has_standby=False), TunnelOptions()]


def test_a_tunnel_that_ends_under_a_client_counts_more_than_its_exit_code() -> None:
    lab = TunnelLab()
    lab.tunnels.steps = [fails(HostKeyChanged("tunnel", "somebody is in between"))]
    lab.client.during = lambda: _until(lambda: bool(lab.screen.lines))
    lab.client.status = 1
    with pytest.raises(HostKeyChanged):
        lab.run(asked(use=Use.CLIENT))
    assert lab.screen.lines == ["the tunnel has ended: somebody is in between"]
    assert lab.audit.records[1]["exit_code"] == 22


def test_the_time_of_a_clients_tunnel_ends_too() -> None:
    lab = TunnelLab()
    lab.tunnels.steps = [passes(lab, 60)]
    lab.client.during = lambda: _until(lambda: lab.tunnels.opened[0].now.state is TunnelState.CLOSED)
    lab.client.status = 1
    outcome = lab.run(asked(use=Use.CLIENT, ttl=timedelta(minutes=1)))
    assert (outcome.exit_code, outcome.is_over_time) == (1, True)
    assert lab.screen.lines == ["its time is up; the tunnel is closed"]


def test_a_client_that_is_not_there_closes_the_tunnel() -> None:
    lab = TunnelLab()
    lab.client.fail("interact", Refused("run mariadb", "it is not installed"))
    with pytest.raises(Refused):
        lab.run(asked(use=Use.CLIENT))
    assert lab.tunnels.opened[0].now.state is TunnelState.CLOSED
    assert lab.audit.records[1]["exit_code"] == 4


def test_credentials_that_have_expired_are_told_as_such() -> None:
    lab = TunnelLab()
    lab.stacks.fail(
        "get slipway-shared-database", AwsError("cloudformation", "DescribeStacks", "ExpiredToken", "")
    )
    with pytest.raises(TokenExpired):
        lab.run(asked())


def test_a_secret_that_cannot_be_read_closes_the_tunnel() -> None:
    lab = TunnelLab()
    lab.logins.secrets = {}
    with pytest.raises(AwsError):
        lab.run(asked(use=Use.CLIENT))
    assert lab.tunnels.opened[0].now.state is TunnelState.CLOSED
    assert (SECRET, lab.client.calls) == (lab.screen.readies[0].plan.place.secret_arn, [])


def _until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it never became so"
        threading.Event().wait(0.01)
