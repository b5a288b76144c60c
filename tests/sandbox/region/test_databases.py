# SPDX-License-Identifier: Apache-2.0
"""An Aurora cluster works: real servers in the VPC, reached by name, over TLS, by password and by token."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from sandbox.names import of_checkout

from .conftest import RealRegion, until
from .database_client import DatabaseClient
from .database_world import (
    NAME,
    PARAMETERS,
    Database,
    add_member,
    change,
    fail_over,
    interfaces,
    make_cluster,
    pids,
    remove_cluster,
)

pytestmark = pytest.mark.sandbox

# What MySQL's and MariaDB's servers answer.
ACCESS_DENIED, CANNOT_CONNECT, READ_ONLY, NO_PRIVILEGE = 1045, 2003, 1290, 1227
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(name="database", scope="module")
def fixture_database(region: RealRegion, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    directory = tmp_path_factory.mktemp("databases")
    authority = directory / "ca.pem"
    with urllib.request.urlopen(f"{region.endpoint}/_slipway/database-ca.pem") as page:  # noqa: S310
        authority.write_bytes(page.read())
    names = of_checkout(region.state.path.parent)
    groups = {name: region.group(f"databases-{name}") for name in ("clients", "strangers", "members")}
    admitted = {"IpProtocol": "tcp", "FromPort": 3306, "ToPort": 3306}
    admitted["UserIdGroupPairs"] = [{"GroupId": groups["clients"]}]
    region.client("ec2").authorize_security_group_ingress(GroupId=groups["members"], IpPermissions=[admitted])
    machines = {
        name: region.launch(
            SecurityGroupIds=[groups[name]], SubnetId=region.subnet("application")["SubnetId"]
        )["InstanceId"]
        for name in ("clients", "strangers")
    }
    make_cluster(region, groups["members"])
    clients = [
        DatabaseClient(names.machine_namespace(machines[name]), directory, authority)
        for name in ("clients", "strangers")
    ]
    yield Database(region, *clients)
    remove_cluster(region)
    region.terminate(*machines.values())


@pytest.fixture(name="schema")
def fixture_schema(database: Database) -> dict[str, str]:
    """Return the option that leads to a database of the test's own, with an empty table t in it."""
    name = f"t{time.monotonic_ns()}"
    made = (f"CREATE DATABASE {name}", f"USE {name}", "CREATE TABLE t (i INT PRIMARY KEY)")
    assert database.ask(database.writer, *made) == []
    return {"database": name}


def test_what_is_written_at_the_cluster_s_endpoint_is_read_at_the_readers_one(
    database: Database, schema: dict[str, str]
) -> None:
    assert database.ask(database.writer, "INSERT INTO t VALUES (1), (2)", **schema) == []
    until(
        lambda: database.ask(database.reader, "SELECT i FROM t ORDER BY i", **schema),
        lambda rows: rows == [(1,), (2,)],
    )


def test_members_are_in_zones_of_their_own_and_say_who_they_are(database: Database) -> None:
    assert interfaces(database.region) == ["us-east-1a", "us-east-1b"]
    question = "SELECT @@aurora_server_id, @@innodb_read_only, @@read_only, @@aurora_version"
    assert [database.ask(host, question) for host in (database.writer, database.reader)] == [
        [(f"{NAME}-1", 0, 0, "3.08.0")],
        [(f"{NAME}-2", 1, 1, "3.08.0")],
    ]


def test_every_member_has_a_name_that_its_certificate_holds(database: Database) -> None:
    members = database.region.client("rds").describe_db_instances()["DBInstances"]
    names = sorted(each["Endpoint"]["Address"] for each in members if each["DBClusterIdentifier"] == NAME)
    suffix = database.writer.partition(".cluster-")[2]
    assert names == [f"{NAME}-1.{suffix}", f"{NAME}-2.{suffix}"]
    assert [database.ask(name, "SELECT @@aurora_server_id") for name in names] == [
        [(f"{NAME}-1",)],
        [(f"{NAME}-2",)],
    ]


def test_readers_refuse_to_write(database: Database, schema: dict[str, str]) -> None:
    until(
        lambda: database.ask(database.reader, "INSERT INTO t VALUES (1)", **schema),
        lambda answer: answer == READ_ONLY,
    )


def test_only_encrypted_connections_are_taken(database: Database) -> None:
    assert database.ask(database.writer, "SELECT 1", ssl_disabled=True) == ACCESS_DENIED
    shown = database.ask(database.writer, "SHOW STATUS LIKE 'Ssl_version'")
    assert shown == [("Ssl_version", "TLSv1.3")]


def test_parameters_of_the_cluster_are_applied(database: Database) -> None:
    asked = "SELECT @@require_secure_transport, @@tls_version, @@long_query_time"
    assert database.ask(database.reader, asked) == [(1, "TLSv1.2,TLSv1.3", 3.0)]


def test_only_admitted_machines_reach_the_port(database: Database) -> None:
    login = database.master()
    assert database.stranger.ask(database.writer, "SELECT 1", **login) == CANNOT_CONNECT
    assert database.client.ask(database.writer, "SELECT 1", **login) == [(1,)]


def test_the_master_makes_users_and_databases_but_commands_no_server(database: Database) -> None:
    made = ("CREATE DATABASE extra", "CREATE USER helper IDENTIFIED BY 'something-long'")
    granted = "GRANT ALL ON extra.* TO helper"
    assert database.ask(database.writer, *made, granted, "SHOW DATABASES LIKE 'extra'") == [("extra",)]
    assert database.ask(database.writer, "SET GLOBAL read_only = ON") == NO_PRIVILEGE
    assert database.ask(database.writer, "DROP DATABASE extra", "DROP USER helper") == []


def test_a_rotated_password_is_the_one_that_opens(database: Database) -> None:
    old = database.master()
    database.region.client("rds").modify_db_cluster(
        DBClusterIdentifier=NAME, RotateMasterUserPassword=True, ApplyImmediately=True
    )
    until(database.master, lambda login: login != old)
    until(lambda: database.ask(database.writer, "SELECT 1"), lambda answer: answer == [(1,)])
    assert database.client.ask(database.writer, "SELECT 1", **old) == ACCESS_DENIED


@pytest.fixture(name="someone", scope="module")
def fixture_someone(database: Database) -> str:
    """Return a user who logs in with tokens."""
    create = "CREATE USER someone IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'"
    assert database.ask(database.writer, create, "GRANT SELECT ON shop.* TO someone") == []
    return "someone"


def test_a_token_of_the_operator_opens_every_endpoint(database: Database, someone: str) -> None:
    def user_at(host: str) -> Any:
        token = database.token(host, someone)
        return database.client.ask(host, "SELECT CURRENT_USER()", user=someone, password=token)

    assert user_at(database.writer) == [("someone@%",)]
    until(lambda: user_at(database.reader), lambda answer: answer == [("someone@%",)])


def test_a_token_for_another_user_or_cluster_and_a_forged_one_are_refused(
    database: Database, someone: str
) -> None:
    good = database.token(database.writer, someone)
    stranger = boto3.session.Session("AKIAGUESSED", "guessed", region_name="us-east-1")
    refused = {
        "another user": database.token(database.writer, "root_of_shop"),
        "another cluster": database.token(f"other-{database.writer}", someone),
        "no link": "a-password",
        "forged": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "unknown key": database.token(database.writer, someone, stranger),
    }
    answers = {
        why: database.client.ask(database.writer, "SELECT 1", user=someone, password=token)
        for why, token in refused.items()
    }
    assert answers == dict.fromkeys(refused, ACCESS_DENIED)


def test_an_expired_token_is_refused(database: Database, someone: str) -> None:
    request = AWSRequest("GET", f"https://{database.writer}:3306/?Action=connect&DBUser={someone}")
    credentials = boto3.session.Session("local", "local").get_credentials()
    SigV4QueryAuth(credentials, "rds-db", "us-east-1", expires=6).add_auth(request)
    token = request.url.removeprefix("https://")

    def answer() -> Any:
        return database.client.ask(database.writer, "SELECT 1", user=someone, password=token)

    assert answer() == [(1,)]
    until(answer, lambda seen: seen == ACCESS_DENIED)


def test_a_token_is_not_taken_in_the_clear_even_where_passwords_are(database: Database, someone: str) -> None:
    token = database.token(database.writer, someone)
    clear: dict[str, Any] = {"ssl_disabled": True}
    change(database, "require_secure_transport", "OFF")
    try:
        until(lambda: database.ask(database.writer, "SELECT 1", **clear), lambda answer: answer == [(1,)])
        answer = database.client.ask(database.writer, "SELECT 1", user=someone, password=token, **clear)
        assert answer == ACCESS_DENIED
    finally:
        change(database, "require_secure_transport", "ON")
    until(lambda: database.ask(database.writer, "SELECT 1", **clear), lambda answer: answer == ACCESS_DENIED)


def test_a_role_logs_in_as_the_users_that_its_policy_names(database: Database, someone: str) -> None:
    iam, sts = database.region.client("iam"), database.region.client("sts")
    arn = iam.create_role(RoleName="logs-in", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    given = sts.assume_role(RoleArn=arn, RoleSessionName="i-1")["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    session = boto3.session.Session(*keys, region_name="us-east-1")

    def answer() -> Any:
        token = database.token(database.writer, someone, session)
        return database.client.ask(database.writer, "SELECT 1", user=someone, password=token)

    assert answer() == ACCESS_DENIED
    cluster = database.describe()["DbClusterResourceId"]
    user = f"arn:aws:rds-db:us-east-1:123456789012:dbuser:{cluster}/{someone}"
    statement = {"Effect": "Allow", "Action": "rds-db:connect", "Resource": user}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_role_policy(RoleName="logs-in", PolicyName="login", PolicyDocument=json.dumps(policy))
    assert answer() == [(1,)]


def test_mariadb_s_own_client_logs_in_with_a_token(database: Database, someone: str) -> None:
    token = database.token(database.writer, someone)
    options = database.client.directory / "client.cnf"
    lines = (f"host={database.writer}", f"user={someone}", f'password="{token}"', "ssl-verify-server-cert")
    options.write_text("\n".join(["[client]", *lines, f"ssl-ca={database.client.authority}", ""]), "utf-8")
    argv = ["mariadb", f"--defaults-file={options}", "--batch", "--skip-column-names", "-e", "SELECT 1"]
    assert database.client.run(argv) == "1\n"


@pytest.mark.parametrize("member", ["1", "2"])
def test_a_member_that_is_killed_comes_back_with_its_data(
    database: Database, schema: dict[str, str], member: str
) -> None:
    assert database.ask(database.writer, "INSERT INTO t VALUES (7)", **schema) == []
    killed = database.pid(f"{NAME}-{member}")
    os.kill(killed, signal.SIGKILL)
    until(lambda: database.pid(f"{NAME}-{member}"), lambda pid: pid != killed)
    until(lambda: database.ask(database.writer, "SELECT i FROM t", **schema), lambda rows: rows == [(7,)])
    until(lambda: database.ask(database.reader, "SELECT i FROM t", **schema), lambda rows: rows == [(7,)])
    until(
        lambda: database.ask(database.reader, "SELECT @@aurora_server_id"),
        lambda rows: rows == [(f"{NAME}-2",)],
    )


def test_a_failover_makes_the_reader_the_writer_and_loses_nothing(
    database: Database, schema: dict[str, str]
) -> None:
    assert database.ask(database.writer, "INSERT INTO t VALUES (1)", **schema) == []
    fail_over(database, writer="2", reader="1")
    assert database.ask(database.writer, "INSERT INTO t VALUES (2)", **schema) == []
    fail_over(database, writer="1", reader="2")
    assert database.ask(database.writer, "SELECT i FROM t ORDER BY i", **schema) == [(1,), (2,)]


def test_when_the_writer_is_deleted_a_reader_writes_on(database: Database, schema: dict[str, str]) -> None:
    assert database.ask(database.writer, "INSERT INTO t VALUES (1)", **schema) == []
    database.region.client("rds").delete_db_instance(DBInstanceIdentifier=f"{NAME}-1", SkipFinalSnapshot=True)
    until(
        lambda: database.ask(database.writer, "INSERT INTO t VALUES (2)", **schema),
        lambda answer: answer == [],
    )
    add_member(database.region, "1")
    fail_over(database, writer="1", reader="2")
    assert database.ask(database.writer, "SELECT i FROM t ORDER BY i", **schema) == [(1,), (2,)]


def test_a_changed_parameter_changes_running_servers(database: Database) -> None:
    hosts = (database.writer, database.reader)
    for value in ("5", PARAMETERS["long_query_time"]):
        change(database, "long_query_time", value)
        until(
            lambda: [database.ask(host, "SELECT @@GLOBAL.long_query_time") for host in hosts],
            lambda rows, wanted=float(value): rows == [[(wanted,)]] * 2,
        )


def test_a_member_that_comes_later_has_what_was_written_before(
    database: Database, schema: dict[str, str]
) -> None:
    assert database.ask(database.writer, "INSERT INTO t VALUES (3)", **schema) == []
    add_member(database.region, "3")
    host = f"{NAME}-3.{database.writer.partition('.cluster-')[2]}"
    assert database.ask(host, "SELECT i, @@innodb_read_only FROM t", **schema) == [(3, 1)]
    rds = database.region.client("rds")
    gone = database.pid(f"{NAME}-3")
    rds.delete_db_instance(DBInstanceIdentifier=f"{NAME}-3", SkipFinalSnapshot=True)
    until(lambda: Path(f"/proc/{gone}").exists(), lambda is_there: not is_there)
    assert until(lambda: interfaces(database.region), lambda zones: len(zones) == 2) == [
        "us-east-1a",
        "us-east-1b",
    ]


def test_a_reader_that_can_t_follow_is_made_anew(database: Database, schema: dict[str, str]) -> None:
    members = database.region.client("rds").describe_db_instances(DBInstanceIdentifier=f"{NAME}-2")
    resource_id = members["DBInstances"][0]["DbiResourceId"]
    socket = of_checkout(database.region.state.path.parent).runtime_dir / "databases" / resource_id
    before = database.pid(f"{NAME}-2")
    until(lambda: database.ask(database.reader, "SELECT i FROM t", **schema), lambda rows: rows == [])
    apart = "SET sql_log_bin = 0; INSERT INTO t VALUES (5)"
    argv = ["mariadb", "--no-defaults", f"--socket={socket / 'own' / 'server.sock'}", "-e", apart]
    subprocess.run([*argv, schema["database"]], check=True, timeout=20)
    assert database.ask(database.writer, "INSERT INTO t VALUES (5)", **schema) == []
    until(lambda: database.pid(f"{NAME}-2"), lambda pid: pid != before)
    until(
        lambda: database.ask(database.reader, "SELECT i, @@aurora_server_id FROM t", **schema),
        lambda rows: rows == [(5, f"{NAME}-2")],
    )


def test_servers_listen_at_the_cluster_s_port(database: Database) -> None:
    def change_port(port: int) -> None:
        database.region.client("rds").modify_db_cluster(
            DBClusterIdentifier=NAME, Port=port, ApplyImmediately=True
        )

    change_port(3307)
    login = database.master()
    until(lambda: len(database_ports(database, 3307)), lambda count: count == 2)
    assert database.client.ask(database.writer, "SELECT 1", port=3307, **login) == CANNOT_CONNECT
    change_port(3306)
    until(lambda: database.ask(database.writer, "SELECT 1"), lambda rows: rows == [(1,)])


def database_ports(database: Database, port: int) -> list[str]:
    """Return the configurations of servers that listen at a port."""
    running = of_checkout(database.region.state.path.parent).runtime_dir / "databases"
    return [
        str(each) for each in running.glob("*/server.cnf") if f'port = "{port}"' in each.read_text("utf-8")
    ]


def test_no_password_or_key_is_in_a_command_line_or_log(database: Database) -> None:
    password = database.master()["password"]
    running = of_checkout(database.region.state.path.parent).runtime_dir / "databases"
    commands = [Path(f"/proc/{pid}/cmdline").read_text("utf-8") for pid in pids(str(running))]
    assert len(commands) == 2
    kept = [
        *(each for each in (database.region.state.path / "databases").rglob("*") if each.is_file()),
        *running.rglob("*.log"),
        *running.rglob("*.cnf"),
        database.region.state.log,
    ]
    holders = [str(each) for each in kept if password.encode() in each.read_bytes()]
    assert [text for text in commands if password in text] + holders == []
