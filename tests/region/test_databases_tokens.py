# SPDX-License-Identifier: Apache-2.0
"""Tokens of IAM, as botocore makes them: which are good, and why the others are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID

from sandbox.databases.signatures import Refused, parse
from sandbox.databases.tokens import Judge
from sandbox.databases.wanted import Cluster, Member

from .conftest import REGION, LocalRegion

ENDPOINT = f"orders.cluster-abc.{REGION}.rds.amazonaws.com"
MEMBER = Member(
    "db-1", "orders-one", f"orders-one.abc.{REGION}.rds.amazonaws.com", "subnet-1", is_writer=True
)
CLUSTER_ID = "cluster-ABC"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}


def cluster(*, has_tokens: bool = True) -> Cluster:
    return Cluster(
        resource_id=CLUSTER_ID,
        identifier="orders",
        endpoint=ENDPOINT,
        reader_endpoint=ENDPOINT.replace("cluster", "cluster-ro"),
        port=3306,
        version="8.0.mysql_aurora.3.08.0",
        database=None,
        master="admin",
        secret_arn=None,
        password=None,
        has_tokens=has_tokens,
        group_ids=(),
        parameters={},
        members=(MEMBER,),
    )


def token(
    host: str = ENDPOINT,
    *,
    port: int = 3306,
    user: str = "app",
    region: str = REGION,
    keys: tuple[str, ...] = ("local", "local"),
) -> str:
    session = boto3.session.Session(*keys, region_name=region)
    made = session.client("rds").generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    return str(made)


def verdict(text: str, *, user: str = "app", after: timedelta = timedelta(0), has_tokens: bool = True) -> str:
    """Return why a token is refused, or "good"."""
    judge = Judge(DEFAULT_ACCOUNT_ID, REGION, now=lambda: datetime.now(UTC) + after)
    try:
        judge.check(cluster(has_tokens=has_tokens), user, text)
    except Refused as refusal:
        return str(refusal)
    return "good"


@pytest.mark.parametrize("host", [ENDPOINT, ENDPOINT.replace("cluster", "cluster-ro"), MEMBER.endpoint])
def test_the_operator_s_token_is_good_for_each_endpoint(host: str) -> None:
    assert verdict(token(host)) == "good"


def test_what_a_token_says_is_read() -> None:
    read = parse(token())
    assert (read.endpoint, read.user, read.access_key, read.session_token, read.region, read.lasts) == (
        f"{ENDPOINT}:3306",
        "app",
        "local",
        "",
        REGION,
        timedelta(minutes=15),
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: "", "it is no signed link"),
        (lambda: "a-password", "it is no signed link"),
        (lambda: token(user="other"), "it is for other"),
        (lambda: token("other.example.com"), "it is for other.example.com:3306"),
        (lambda: token(port=3307), f"it is for {ENDPOINT}:3307"),
        (lambda: token(region="eu-west-1"), "it is for eu-west-1"),
        (lambda: token(keys=("AKIAGUESSED", "guessed")), "nobody has the access key AKIAGUESSED"),
        (lambda: token(keys=("local", "guessed")), "its signature is wrong"),
        (lambda: token().replace("Expires=900", "Expires=901"), "it is made to last longer than 15 minutes"),
        (lambda: token().replace("Expires=900", "Expires=899"), "its signature is wrong"),
        (lambda: token() + "&DBUser=app", "it contradicts itself"),
        (lambda: token().replace("Action=connect", "Action=delete"), "it is signed for something else"),
        (lambda: token().replace("rds-db", "s3"), "it is signed for something else"),
    ],
)
def test_a_token_is_refused(make: Callable[[], str], reason: str) -> None:
    assert verdict(make()) == reason


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(minutes=14), "good"),
        (timedelta(minutes=16), "it has expired"),
        (timedelta(minutes=-4), "good"),
        (timedelta(minutes=-6), "it is not yet in force"),
    ],
)
def test_a_token_is_good_for_a_quarter_of_an_hour(after: timedelta, expected: str) -> None:
    assert verdict(token(), after=after) == expected


def test_a_cluster_may_take_none() -> None:
    assert verdict(token(), has_tokens=False) == "orders takes no tokens of IAM"


@pytest.fixture(name="keys")
def fixture_keys(local: LocalRegion) -> tuple[str, ...]:
    """Return the keys of a session of a role that may connect as app."""
    iam, users = local.client("iam"), f"arn:aws:rds-db:{REGION}:{DEFAULT_ACCOUNT_ID}:dbuser:{CLUSTER_ID}"
    arn = iam.create_role(RoleName="api", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": "rds-db:connect", "Resource": f"{users}/app"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_role_policy(RoleName="api", PolicyName="connect", PolicyDocument=json.dumps(policy))
    given: Any = local.client("sts").assume_role(RoleArn=arn, RoleSessionName="i-1")["Credentials"]
    return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]


def test_a_role_s_session_may_be_the_users_that_its_policy_names(keys: tuple[str, ...]) -> None:
    assert verdict(token(keys=keys)) == "good"
    assert verdict(token(user="admin", keys=keys), user="admin") == (
        f"arn:aws:sts::{DEFAULT_ACCOUNT_ID}:assumed-role/api/i-1 is not authorized to connect"
        " because no identity-based policy allows the rds-db:connect action"
    )


def test_a_session_s_token_is_good_only_as_it_was_given(keys: tuple[str, ...]) -> None:
    access_key, secret, session_token = keys
    nobody = f"nobody has the access key {access_key}"
    assert verdict(token(keys=(access_key, secret))) == nobody
    assert verdict(token(keys=(access_key, secret, f"{session_token}x"))) == nobody
    assert verdict(token(keys=(access_key, "guessed", session_token))) == "its signature is wrong"
