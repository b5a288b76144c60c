# SPDX-License-Identifier: Apache-2.0
"""The resource types of Secrets Manager go round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call, HandlerError
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

TAGS = [{"Key": "a", "Value": "b"}, {"Key": "z", "Value": "y"}]
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotate"
MADE = {
    "SecretStringTemplate": '{"username": "slipway"}',
    "GenerateStringKey": "password",
    "PasswordLength": 40,
    "ExcludePunctuation": True,
}


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    """Return what handlers work with."""
    yield from handler_calls()


@pytest.fixture(name="secret", scope="module")
def fixture_secret(call: Call) -> Iterator[str]:
    """Return a secret's ARN."""
    with made(call, "AWS::SecretsManager::Secret", {"SecretString": "first"}) as secret:
        yield secret.physical_id


def _value(call: Call, arn: str) -> str:
    return str(call.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])


def test_a_secret_goes_round(call: Call) -> None:
    given = {
        "Name": "slipway/test/one",
        "Description": "a test's",
        "KmsKeyId": KEY,
        "SecretString": "first",
        "Tags": TAGS,
    }
    changes = (
        {"SecretString": "second", "Description": "still", "Tags": TAGS[1:]},
        {"Description": REMOVED, "KmsKeyId": REMOVED, "Tags": REMOVED},
    )
    travel(call, Trip("AWS::SecretsManager::Secret", given, changes))


def test_a_value_is_made_once_and_stays(call: Call) -> None:
    before: dict[str, Any] = {"GenerateSecretString": MADE}
    handler = handlers()["AWS::SecretsManager::Secret"]
    with made(call, "AWS::SecretsManager::Secret", before) as secret:
        first = json.loads(_value(call, secret.physical_id))
        after = before | {"Description": "told"}
        handler.update(call, secret.physical_id, before=before, after=after)
        second = json.loads(_value(call, secret.physical_id))
        longer = {"GenerateSecretString": MADE | {"PasswordLength": 50}}
        handler.update(call, secret.physical_id, before=after, after=longer)
        third = json.loads(_value(call, secret.physical_id))
    assert first["username"] == "slipway"
    assert [len(each["password"]) for each in (first, second, third)] == [40, 40, 50]
    assert first == second


def test_a_secret_that_exists_is_not_taken_over(call: Call) -> None:
    given = {"Name": "taken", "SecretString": "mine"}
    with made(call, "AWS::SecretsManager::Secret", given) as secret:
        with pytest.raises(ClientError, match="ResourceExistsException"):
            handlers()["AWS::SecretsManager::Secret"].create(call, given | {"SecretString": "yours"})
        assert _value(call, secret.physical_id) == "mine"


def test_a_policy_goes_round(call: Call, secret: str) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    given = {"SecretId": secret, "ResourcePolicy": policy}
    other = policy | {"Statement": [statement | {"Sid": "Other"}]}
    travel(call, Trip("AWS::SecretsManager::ResourcePolicy", given, ({"ResourcePolicy": other},)))


def test_a_schedule_goes_round(call: Call, secret: str) -> None:
    given = {
        "SecretId": secret,
        "RotationLambdaARN": FUNCTION,
        "RotationRules": {"ScheduleExpression": "rate(10 days)", "Duration": "3h"},
        "RotateImmediatelyOnUpdate": False,
    }
    changes = ({"RotationRules": {"AutomaticallyAfterDays": 30}},)
    travel(call, Trip("AWS::SecretsManager::RotationSchedule", given, changes))
    assert _value(call, secret) == "first"


def test_rotating_at_once_is_refused_by_name(call: Call, secret: str) -> None:
    with pytest.raises(HandlerError, match="RotateImmediatelyOnUpdate is not supported"):
        handlers()["AWS::SecretsManager::RotationSchedule"].create(
            call, {"SecretId": secret, "RotationLambdaARN": FUNCTION}
        )
    with pytest.raises(ClientError, match="RotateSecret with RotateImmediately is not supported"):
        call.client("secretsmanager").rotate_secret(SecretId=secret, RotationLambdaARN=FUNCTION)
