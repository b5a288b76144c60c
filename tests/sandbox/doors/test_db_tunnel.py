# SPDX-License-Identifier: Apache-2.0
"""`invoke db-tunnel` on the demo's machines: through the bastion and a machine to the real database."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sandbox.bake.project import Ended, ended, free_port
from tests.sandbox.doors.db_tunnels import (
    END_S,
    VERB,
    Master,
    everywhere,
    execute,
    leftovers,
    records,
    told_by_machines,
    tunnel,
    typed,
)
from tests.sandbox.doors.plain_ssh import until
from tests.sandbox.environments.demo import Demo

pytestmark = pytest.mark.sandbox


@pytest.fixture(name="master", scope="module")
def fixture_master(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Master:
    arn = demo.output_of("slipway-sandbox-database", "MasterSecretArn")
    found = json.loads(demo.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    folder = tmp_path_factory.mktemp("master")
    ca_url = f"http://127.0.0.1:{demo.project.port}/_slipway/database-ca.pem"
    subprocess.run(["curl", "-sf", "-o", folder / "ca.pem", ca_url], check=True)
    return Master(found["username"], found["password"], folder)


def test_sql_is_run_and_its_result_and_code_are_passed_on(demo: Demo) -> None:
    assert execute(demo, "SELECT 1 AS one, 'ü' AS two") == Ended(0, "one\ttwo\n1\tü\n", "")
    wrong = execute(demo, "SELECT 1; SELEC 2")
    assert (wrong.status, wrong.stdout) == (1, "1\n1\n")
    assert "ERROR 1064 (42000)" in wrong.stderr
    assert execute(demo, "SELECT 1", "--json").done() == {"exit_code": 0, "output": "1\n1\n"}


@pytest.mark.parametrize(("endpoint", "expected"), [("reader", "1"), ("writer", "0")])
def test_the_endpoint_is_the_one_asked_for(demo: Demo, endpoint: str, expected: str) -> None:
    done = execute(demo, "SELECT @@innodb_read_only", "--endpoint", endpoint)
    assert done == Ended(0, f"@@innodb_read_only\n{expected}\n", "")


def test_nobody_writes_unless_he_asks_for_the_writer(demo: Demo) -> None:
    create = "CREATE TABLE tunnel_test (a INT)"
    for on_reader in (create, f"SET SESSION TRANSACTION READ WRITE; {create}"):
        by_server = execute(demo, on_reader)
        assert (by_server.status, "ERROR 1290" in by_server.stderr) == (1, True)
    asked = execute(demo, create, "--endpoint", "writer", "--read-only")
    assert (asked.status, "ERROR 1792" in asked.stderr) == (1, True)
    script = (
        "CREATE TABLE tunnel_test (a INT); INSERT INTO tunnel_test VALUES (7); "
        "SELECT a FROM tunnel_test; DROP TABLE tunnel_test"
    )
    assert execute(demo, script, "--endpoint", "writer") == Ended(0, "a\n7\n", "")


def test_a_user_logs_in_by_iam(demo: Demo) -> None:
    create = (
        "CREATE USER IF NOT EXISTS ann IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'; "
        "GRANT SELECT ON levels.* TO ann"
    )
    assert execute(demo, create, "--endpoint", "writer").status == 0
    try:
        asked = ("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS me", "--user", "ann", "--iam")
        until(lambda: execute(demo, *asked) == Ended(0, "me\nann\n", ""), what="the reader knows ann")
        assert execute(demo, *asked, "--endpoint", "writer") == Ended(0, "me\nann\n", "")
        nobody = execute(demo, "SELECT 1", "--user", "nobody", "--iam")
        assert (nobody.status, "Access denied for user 'nobody'" in nobody.stderr) == (1, True), nobody
    finally:
        execute(demo, "DROP USER ann", "--endpoint", "writer")


@pytest.mark.parametrize("via", ["api", "worker"])
def test_each_fleet_that_uses_the_database_is_a_way(demo: Demo, via: str) -> None:
    with tunnel(demo, "--via", via) as opened:
        assert opened.stop().status == 130
    session = opened.ready["session"]
    assert [(each["event"], each["fleet"]) for each in records(demo, session)] == [
        ("began", via),
        ("ended", via),
    ]


def test_the_bastion_is_no_way(demo: Demo) -> None:
    done = execute(demo, "SELECT 1", "--via", "bastion")
    assert (done.status, "bastion: may not reach the database" in done.stderr) == (3, True)


def test_a_busy_local_port_is_told(demo: Demo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = execute(demo, "SELECT 1", "--local-port", str(port))
    assert (done.status, str(port) in done.stderr) == (20, True)


def test_a_bare_tunnel_serves_any_client_until_ctrl_c_and_leaves_nothing(demo: Demo, master: Master) -> None:
    port = free_port()
    with tunnel(demo, "--local-port", str(port)) as opened:
        assert (opened.ready["host"], opened.port, opened.ready["endpoint"]) == ("127.0.0.1", port, "reader")
        assert master.asks(port, "SELECT @@innodb_read_only") == "1\n"
        stopped = opened.stop()
    end = json.loads(stopped.stdout)
    assert (stopped.status, end["exit_code"], end["connections"], end["reconnects"]) == (130, 130, 1, 0)
    assert end["received_bytes"] > end["sent_bytes"] > 0
    assert stopped.stderr.endswith("stopped: the tunnel is closed\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    session = opened.ready["session"]
    assert leftovers(session) == []
    began, over = records(demo, session)
    assert (began["event"], over["event"], over["exit_code"]) == ("began", "ended", 130)
    assert over["via"] == opened.ready["hops"]
    last = over["via"][-1]
    until(
        lambda: {(last, "reader", "began"), (last, "reader", "ended")} <= told_by_machines(demo, session),
        what="the machine has told of it too",
    )
    assert over["target"] == f"{demo.output_of('slipway-sandbox-database', 'ReaderEndpoint')}:3306"


def test_sigterm_closes_it_too(demo: Demo) -> None:
    with tunnel(demo) as opened:
        stopped = opened.stop(signal.SIGTERM)
    assert stopped.status == 143
    assert leftovers(opened.ready["session"]) == []


def test_it_closes_by_itself_when_its_time_is_up(demo: Demo) -> None:
    with tunnel(demo, "--ttl", "3s") as opened:
        stopped = ended(opened.process, END_S)
    end = json.loads(stopped.stdout)
    assert (stopped.status, end["is_over_time"]) == (0, True)
    assert end["seconds"] >= 3


def test_lines_tell_people_how_to_connect_and_the_options_file_works(demo: Demo, master: Master) -> None:
    process = demo.project.start(VERB)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        assert re.fullmatch(
            r"ready: 127\.0\.0\.1:\d+ -> reader of sandbox \(database levels\) through i-\w+ and i-\w+ "
            r"of api, until \d\d:\d\d UTC\n",
            lines[0],
        )
        found = re.fullmatch(
            r"mysql client: (mariadb --defaults-file=\S+) --user=USER --password\n", lines[3]
        )
        assert found is not None, lines
        argv = [*found[1].split(), f"--user={master.user}", f"--password={master.password}", "--batch", "-N"]
        sql = "SELECT DATABASE(), @@tx_read_only"
        done = subprocess.run([*argv, "-e", sql], capture_output=True, text=True, check=False, timeout=60)
        assert (done.stdout, done.returncode) == ("levels\t1\n", 0), done.stderr
        path = Path(found[1].partition("=")[2])
        assert path.stat().st_mode & 0o777 == 0o600
        assert master.password not in path.read_text()
        process.send_signal(signal.SIGINT)
        assert ended(process, END_S).status == 130
        assert not path.parent.exists()
    finally:
        process.kill()


def test_a_dump_goes_through(demo: Demo, master: Master) -> None:
    fill = (
        "CREATE TABLE tunnel_dump (a INT PRIMARY KEY, b CHAR(64)); "
        "INSERT INTO tunnel_dump SELECT seq, SHA2(seq, 256) FROM seq_1_to_20000"
    )
    assert execute(demo, fill, "--endpoint", "writer").status == 0
    try:
        with tunnel(demo) as opened:
            count = "SELECT COUNT(*) FROM tunnel_dump"
            until(
                lambda: master.run(opened.port, "mariadb", "-N", "levels", stdin=count).stdout == "20000\n",
                what="the replica has all",
            )
            done = master.run(
                opened.port,
                "mariadb-dump",
                "--single-transaction",
                "--skip-extended-insert",
                "levels",
                "tunnel_dump",
            )
            assert done.returncode == 0, done.stderr
            assert sum(line.startswith("INSERT INTO") for line in done.stdout.splitlines()) == 20_000
            assert opened.stop().status == 130
    finally:
        execute(demo, "DROP TABLE tunnel_dump", "--endpoint", "writer")


def test_a_machine_that_goes_away_costs_what_went_through_it_and_nothing_else(
    demo: Demo, master: Master
) -> None:
    failures = []
    with tunnel(demo, "--via", "api") as opened:
        assert master.asks(opened.port, "SELECT 1") == "1\n"
        demo.client("ec2").terminate_instances(InstanceIds=[opened.ready["hops"][-1]])
        end = time.monotonic() + 30
        while time.monotonic() < end:
            done = master.run(opened.port, "mariadb", "--batch", "-N", stdin="SELECT 1")
            failures += [done.stderr] if (done.returncode, done.stdout) != (0, "1\n") else []
        stopped = opened.stop()
    # The one that was under way when the machine died.
    assert len(failures) <= 1, failures
    assert json.loads(stopped.stdout)["reconnects"] == 1
    assert re.search(
        r"db-tunnel sandbox: (lost the way; goes on|back after [\d.]+ s) through i-\w+ and i-\w+\n",
        stopped.stderr,
    )
    until(lambda: len(demo.machines("sandbox", "api")) == 4, what="the group has replaced it", within_s=180)


@pytest.mark.parametrize("more", [(), ("--user", "slipway"), ("--engine", "sshtunnel")], ids=str)
def test_the_client_has_the_terminal_and_no_password_is_seen(
    demo: Demo, master: Master, more: Sequence[str]
) -> None:
    with typed(demo, VERB, "--client", *more) as client:
        if "--user" in more:
            client.shows("Enter password:")
            client.types(f"{master.password}\n")
        client.shows("sandbox reader [levels]> ")
        client.types("SELECT 6 * 7 AS answer;\n")
        client.shows("|     42 |")
        assert [path for path, text in everywhere() if master.password.encode() in text] == []
        # Ctrl-C is the client's: it leaves the tunnel alone.
        client.types("SELECT SLEEP(50);\n")
        time.sleep(1)
        client.types("\x03")
        client.shows("Query execution was interrupted" if "aborted" not in client.seen else "aborted")
        client.types("SELECT 'still' AS here;\n")
        client.shows("| still |")
        client.types("\\q\n")
        client.shows("open for ")
        assert client.process.wait(END_S) == 0


def test_a_terminal_shows_a_frame_until_ctrl_c(demo: Demo) -> None:
    with typed(demo, VERB) as shown:
        shown.shows("db-tunnel sandbox: ready")
        shown.shows("second way   through i-")
        shown.types("\x03")
        shown.shows("stopped: the tunnel is closed")
        assert shown.process.wait(END_S) == 130
