# SPDX-License-Identifier: Apache-2.0
"""What the machine asks of AWS and writes there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from moto import mock_aws
from operator_access.cloud import Cloud
from operator_access.keys import from_subject_public_key_info
from operator_access.machine import Machine
from operator_access.spool import Item

MACHINE = Machine("sandbox", "web", "api", "i-1", "us-east-1", "123456789012")
BUCKET = "slipway-sandbox-logs-123456789012"
DAY_MICROS = 24 * 3600 * 1_000_000


@pytest.fixture(name="region", autouse=True)
def region_without_machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    with mock_aws():
        yield


def client(service: str) -> Any:
    return boto3.client(service, region_name="us-east-1")


def put(name: str, value: str) -> None:
    client("ssm").put_parameter(Name=name, Value=value, Type="String")


def test_keys_and_blocked_names_are_those_of_the_environment() -> None:
    for number in range(12):  # more than a page
        put(f"/slipway/sandbox/ssh/keys/p{number}", f"key {number}")
    put("/slipway/sandbox/ssh/blocked/eve", "2027-01-01T00:00:00Z")
    put("/slipway/production/ssh/keys/other", "key")
    put("/slipway/sandbox/ssh/else/other", "key")
    keys = {f"p{number}": f"key {number}" for number in range(12)}
    assert Cloud(MACHINE).people() == (keys, frozenset({"eve"}))


def test_where_nobody_is_nobody_comes_in() -> None:
    assert Cloud(MACHINE).people() == ({}, frozenset())


def test_the_authority_is_the_key_of_the_environment_s_alias() -> None:
    kms = client("kms")
    key_id = kms.create_key(KeySpec="RSA_4096", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/slipway-sandbox-ssh", TargetKeyId=key_id)
    der = kms.get_public_key(KeyId=key_id)["PublicKey"]
    assert Cloud(MACHINE).authority() == str(from_subject_public_key_info(der))


def test_without_an_authority_that_is_an_error() -> None:
    with pytest.raises(ClientError, match="NotFoundException"):
        Cloud(MACHINE).authority()


def test_the_database_is_the_class_s() -> None:
    cloud = Cloud(MACHINE)
    assert cloud.database() is None
    put("/slipway/sandbox/api/database", "{}")
    assert cloud.database() == "{}"


def test_host_keys_are_never_overwritten() -> None:
    cloud = Cloud(MACHINE)
    assert cloud.published() is None
    assert (cloud.publish("first"), cloud.publish("second")) == (True, False)
    assert cloud.published() == "first"
    stored = client("ssm").get_parameter(Name="/slipway/sandbox/host-keys/web/i-1")["Parameter"]
    assert stored["Value"] == "first"


def item(number: int, micros: int) -> Item:
    return Item(micros, {"session": f"s{number}"}, {"logs"})


def test_records_stand_in_the_machine_s_stream_in_the_order_of_their_time() -> None:
    logs = client("logs")
    logs.create_log_group(logGroupName="/slipway/sandbox/access")
    # CloudWatch takes nothing that is much older or of the future.
    cloud, now = Cloud(MACHINE), time.time_ns() // 1000
    cloud.put_events([item(2, now), item(1, now - DAY_MICROS)])
    cloud.put_events([item(3, now + 1000)])
    found = logs.get_log_events(
        logGroupName="/slipway/sandbox/access", logStreamName="web/i-1", startFromHead=True
    )["events"]
    assert [json.loads(event["message"])["session"] for event in found] == ["s1", "s2", "s3"]
    assert found[0]["timestamp"] == (now - DAY_MICROS) // 1000


def test_without_a_log_group_records_are_not_lost_silently() -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        Cloud(MACHINE).put_events([item(1, 1_800_000_000_000_000)])


def test_each_login_has_an_object_of_its_own() -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    cloud, now = Cloud(MACHINE), 1_800_000_000_000_000
    for micros in (now, now + 1):
        cloud.put_object(item(1, micros))
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert keys == [f"access/2027/01/15/i-1-s1-{micros:x}.json" for micros in (now, now + 1)]
    assert json.loads(s3.get_object(Bucket=BUCKET, Key=keys[0])["Body"].read()) == {"session": "s1"}


def test_credentials_that_come_later_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    cloud = Cloud(MACHINE)
    with pytest.raises(NoCredentialsError):
        cloud.people()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    assert cloud.people() == ({}, frozenset())
