# SPDX-License-Identifier: Apache-2.0
"""The contract of the port AuditTrail."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.aws.audit_trail import AwsAuditTrail
from orchestrator.errors import AwsError, NotFound
from orchestrator.ports import AuditTrail
from tests.contract.conftest import Aws
from tests.fakes import ACCOUNT, FakeAuditTrail, FakeClock

# CloudWatch Logs takes no records of long ago.
NOW = datetime.now(UTC)
GROUP, BUCKET = "/slipway/dev/access", f"slipway-dev-logs-{ACCOUNT}"
FIRST = {"session": "s-1", "event": "began", "who": "ann@example.com", "from": "192.0.2.7"}
SECOND = FIRST | {"event": "ended", "seconds": 7.5, "exit_code": 0}


@dataclass
class Trail:
    """A trail, and what became of records."""

    port: AuditTrail

    def have(self, *, log_group: bool = True, bucket: bool = True) -> None:
        raise NotImplementedError

    def lines(self, stream: str) -> list[dict[str, Any]]:
        raise NotImplementedError

    def objects(self) -> dict[str, dict[str, Any]]:
        raise NotImplementedError


class FakeTrail(Trail):
    def __init__(self) -> None:
        self.fake = FakeAuditTrail()
        super().__init__(self.fake)

    def have(self, *, log_group: bool = True, bucket: bool = True) -> None:
        self.fake.has_log_group, self.fake.has_bucket = log_group, bucket

    def lines(self, stream: str) -> list[dict[str, Any]]:
        return [dict(each) for each in self.fake.lines.get(stream, ())]

    def objects(self) -> dict[str, dict[str, Any]]:
        return {key: dict(each) for key, each in self.fake.objects.items()}


class AwsTrail(Trail):
    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        super().__init__(AwsAuditTrail(aws.session, "dev", ACCOUNT, clock))
        self.logs, self.s3 = aws.session.client("logs"), aws.s3

    def have(self, *, log_group: bool = True, bucket: bool = True) -> None:
        if log_group:
            self.logs.create_log_group(logGroupName=GROUP)
        if bucket:
            self.s3.create_bucket(Bucket=BUCKET)

    def lines(self, stream: str) -> list[dict[str, Any]]:
        events = self.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)
        return [json.loads(each["message"]) for each in events["events"]]

    def objects(self) -> dict[str, dict[str, Any]]:
        keys = [each["Key"] for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]
        return {key: json.load(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"]) for key in keys}


@pytest.fixture(params=["fake", "aws"])
def trail(request: pytest.FixtureRequest) -> Trail:
    if request.param == "fake":
        return FakeTrail()
    clock = FakeClock(NOW)
    return AwsTrail(request.getfixturevalue("aws"), clock)


def test_a_record_is_in_the_operators_stream_and_in_the_bucket(trail: Trail) -> None:
    trail.have()
    trail.port.write(FIRST, key="2030/01/02/s-1-began.json")
    trail.port.write(SECOND, key="2030/01/02/s-1-ended.json")
    assert trail.lines("operators/ann@example.com") == [FIRST, SECOND]
    assert trail.objects() == {
        "access/2030/01/02/s-1-began.json": FIRST,
        "access/2030/01/02/s-1-ended.json": SECOND,
    }


def test_everybody_has_a_stream(trail: Trail) -> None:
    trail.have()
    trail.port.write(FIRST, key="1.json")
    trail.port.write(FIRST | {"who": "bob"}, key="2.json")
    assert trail.lines("operators/bob") == [FIRST | {"who": "bob"}]


def test_without_a_log_group_the_bucket_still_gets_it(trail: Trail) -> None:
    trail.have(log_group=False)
    with pytest.raises(NotFound) as caught:
        trail.port.write(FIRST, key="1.json")
    assert caught.value.service == "logs"
    assert trail.objects() == {"access/1.json": FIRST}


def test_without_a_bucket_the_log_group_still_gets_it(trail: Trail) -> None:
    trail.have(bucket=False)
    with pytest.raises(NotFound) as caught:
        trail.port.write(FIRST, key="1.json")
    assert caught.value.service == "s3"
    assert trail.lines("operators/ann@example.com") == [FIRST]


def test_without_either_it_is_an_error(trail: Trail) -> None:
    trail.have(log_group=False, bucket=False)
    with pytest.raises(AwsError):
        trail.port.write(FIRST, key="1.json")


@pytest.mark.parametrize(
    ("there", "state"),
    [
        ({"log_group": False}, f"the record is only in the bucket {BUCKET}"),
        ({"bucket": False}, f"the record is only in the log group {GROUP}"),
        (
            {"log_group": False, "bucket": False},
            f"the record is neither there nor in the bucket {BUCKET}",
        ),
    ],
)
def test_where_a_record_is_nevertheless_is_told(aws: Aws, there: dict[str, bool], state: str) -> None:
    trail = AwsTrail(aws, FakeClock(NOW))
    trail.have(**there)
    with pytest.raises(NotFound) as caught:
        trail.port.write(FIRST, key="1.json")
    assert caught.value.state == state


def test_a_clock_that_is_far_off_is_told(aws: Aws) -> None:
    trail = AwsTrail(aws, FakeClock(NOW - timedelta(days=30)))
    trail.have()
    with pytest.raises(AwsError) as caught:
        trail.port.write(FIRST, key="1.json")
    assert caught.value.code == "RejectedLogEvents"
    assert trail.objects() == {"access/1.json": FIRST}


def test_a_stream_that_another_command_just_made_is_used(aws: Aws) -> None:
    trail = AwsTrail(aws, FakeClock(NOW))
    trail.have()
    port = AwsAuditTrail(aws.session, "dev", ACCOUNT, FakeClock(NOW))
    trail.logs.create_log_stream(logGroupName=GROUP, logStreamName="operators/ann@example.com")
    port._create_stream("operators/ann@example.com")
    port.write(FIRST, key="1.json")
    assert trail.lines("operators/ann@example.com") == [FIRST]
