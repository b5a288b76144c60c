# SPDX-License-Identifier: Apache-2.0
"""The contract of the port DatabaseLogins."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from orchestrator.aws.database_logins import AwsDatabaseLogins
from orchestrator.errors import AwsError, NotFound
from orchestrator.ports import DatabaseLogins
from tests.contract.conftest import Aws
from tests.fakes import FakeDatabaseLogins

HOST = "slipway.cluster-abc.us-east-1.rds.amazonaws.com"
UNKNOWN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:unknown-AAAAAA"
# Makes a secret of a user and a password, and returns its ARN.
Keep = Callable[[str, str], str]


@pytest.fixture(params=["fake", "aws"])
def logins(request: pytest.FixtureRequest) -> tuple[DatabaseLogins, Keep]:
    if request.param == "fake":
        return _fake()
    aws: Aws = request.getfixturevalue("aws")

    def keep(user: str, password: str) -> str:
        text = json.dumps({"username": user, "password": password})
        made = aws.session.client("secretsmanager").create_secret(Name="rds!cluster-1", SecretString=text)
        return str(made["ARN"])

    return AwsDatabaseLogins(aws.session), keep


def _fake() -> tuple[DatabaseLogins, Keep]:
    fake = FakeDatabaseLogins()

    def keep(user: str, password: str) -> str:
        fake.secrets["one"] = (user, password)
        return "one"

    return fake, keep


def test_a_token_is_for_one_user_of_one_endpoint(logins: tuple[DatabaseLogins, Keep]) -> None:
    port, _ = logins
    token = port.token(HOST, 3306, "dev_operator")
    assert token.startswith(f"{HOST}:3306/?")
    assert "DBUser=dev_operator" in token
    assert "DBUser=other" in port.token(HOST, 3306, "other")


def test_a_secret_is_a_user_and_a_password(logins: tuple[DatabaseLogins, Keep]) -> None:
    port, keep = logins
    arn = keep("slipway", 'of "all" {kinds}')
    assert port.secret(arn) == ("slipway", 'of "all" {kinds}')


def test_a_secret_that_is_not_there_is_told(logins: tuple[DatabaseLogins, Keep]) -> None:
    port, _ = logins
    with pytest.raises(NotFound, match="secretsmanager GetSecretValue"):
        port.secret(UNKNOWN)


@pytest.mark.parametrize("text", ["hidden", '["hidden"]', '{"password": "hidden"}', "null"])
def test_a_secret_of_another_kind_is_not_repeated(aws: Aws, text: str) -> None:
    made = aws.session.client("secretsmanager").create_secret(Name="other", SecretString=text)
    with pytest.raises(AwsError) as caught:
        AwsDatabaseLogins(aws.session).secret(made["ARN"])
    assert (caught.value.code, text in str(caught.value)) == ("UnexpectedSecret", False)
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)
