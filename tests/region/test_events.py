# SPDX-License-Identifier: Apache-2.0
"""EventBridge's default bus in a region: what its services and its callers tell, and who hears it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.sns.models import sns_backends

from sandbox.event_bus import Event
from sandbox.simulated import SimulatedSubstrate
from sandbox.simulation import Simulation

from .conftest import REGION, LocalRegion, make_region

ACCOUNT = "123456789012"
GROUP = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:x:autoScalingGroupName/web"
STARTED = Event(
    source="aws.autoscaling",
    detail_type="EC2 Auto Scaling Instance Refresh Started",
    detail={"AutoScalingGroupName": "web", "InstanceRefreshId": "1"},
    resources=(GROUP,),
    at=datetime(2027, 1, 1, 12, 30, 5, 678, UTC),
)
OF_AUTO_SCALING = {"source": ["aws.autoscaling"]}


@pytest.fixture(name="local")
def fixture_local() -> Iterator[LocalRegion]:
    substrate = SimulatedSubstrate(has_networks=False)
    yield from make_region(substrate, simulation=Simulation(1))


def _queue(local: LocalRegion, *, sender: str | None = "events.amazonaws.com", **attributes: str) -> str:
    """Make a queue into which a service may send, and return its ARN."""
    sqs = local.client("sqs")
    name = "heard.fifo" if attributes else "heard"
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    if sender is not None:
        policy = _policy(sender, "sqs:SendMessage", arn)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return str(arn)


def _topic(local: LocalRegion, *, sender: str | None = "events.amazonaws.com") -> str:
    arn = local.client("sns").create_topic(Name="told")["TopicArn"]
    if sender is not None:
        policy = _policy(sender, "sns:Publish", arn)
        local.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return str(arn)


def _policy(sender: str, action: str, arn: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": sender}, "Action": action, "Resource": arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _rule(
    local: LocalRegion, arn: str, pattern: Any = None, *, state: str = "ENABLED", **target: Any
) -> None:
    events = local.client("events")
    events.put_rule(Name="r", EventPattern=json.dumps(pattern or OF_AUTO_SCALING), State=state)
    events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": arn} | target])


def _advance(local: LocalRegion, seconds: float) -> None:
    local.fetch("POST", "/_sandbox/clock/advance", body=json.dumps({"seconds": seconds}))


def _heard(local: LocalRegion, arn: str) -> list[Any]:
    sqs = local.client("sqs")
    url = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(each["Body"]) for each in found]


def test_an_event_of_a_service_reaches_a_queue_in_eventbridges_envelope(local: LocalRegion) -> None:
    queue = _queue(local)
    _rule(local, queue)
    local.region.event_bus.announce(STARTED)
    (heard,) = _heard(local, queue)
    assert len(heard.pop("id")) == 36
    assert heard == {
        "version": "0",
        "detail-type": "EC2 Auto Scaling Instance Refresh Started",
        "source": "aws.autoscaling",
        "account": ACCOUNT,
        "time": "2027-01-01T12:30:05Z",
        "region": REGION,
        "resources": [GROUP],
        "detail": {"AutoScalingGroupName": "web", "InstanceRefreshId": "1"},
    }


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ({"source": ["aws.ec2"]}, 0),
        ({"source": ["aws.autoscaling"], "detail-type": [{"prefix": "EC2 Auto Scaling Instance Re"}]}, 1),
        ({"detail": {"AutoScalingGroupName": ["web"]}}, 1),
        ({"detail": {"AutoScalingGroupName": ["api"]}}, 0),
        ({"resources": [GROUP]}, 1),
    ],
)
def test_only_events_that_match_are_delivered(local: LocalRegion, pattern: Any, count: int) -> None:
    queue = _queue(local)
    _rule(local, queue, pattern)
    local.region.event_bus.announce(STARTED)
    assert len(_heard(local, queue)) == count


def test_a_disabled_rule_and_a_closed_queue_deliver_nothing(local: LocalRegion) -> None:
    queue = _queue(local, sender="sns.amazonaws.com")
    _rule(local, queue)
    local.region.event_bus.announce(STARTED)
    assert _heard(local, queue) == []
    policy = _policy("events.amazonaws.com", "sqs:SendMessage", queue)
    url = local.client("sqs").get_queue_url(QueueName="heard")["QueueUrl"]
    local.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    local.client("events").disable_rule(Name="r")
    local.region.event_bus.announce(STARTED)
    assert _heard(local, queue) == []
    local.client("events").enable_rule(Name="r")
    local.region.event_bus.announce(STARTED)
    assert len(_heard(local, queue)) == 1


def test_a_queue_that_is_gone_stops_nobody_else(local: LocalRegion) -> None:
    queue = _queue(local)
    gone = queue.replace("heard", "gone")
    _rule(local, gone)
    local.client("events").put_targets(Rule="r", Targets=[{"Id": "other", "Arn": queue}])
    local.region.event_bus.announce(STARTED)
    assert len(_heard(local, queue)) == 1


def test_a_fifo_queue_gets_events_if_it_makes_its_own_deduplication_ids(local: LocalRegion) -> None:
    queue = _queue(local, FifoQueue="true")
    _rule(local, queue, SqsParameters={"MessageGroupId": "g"})
    local.region.event_bus.announce(STARTED)
    assert _heard(local, queue) == []
    url = local.client("sqs").get_queue_url(QueueName="heard.fifo")["QueueUrl"]
    local.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"ContentBasedDeduplication": "true"})
    local.region.event_bus.announce(STARTED)
    assert len(_heard(local, queue)) == 1


def test_a_transformer_words_the_message(local: LocalRegion) -> None:
    queue = _queue(local)
    transformer = {
        "InputPathsMap": {"group": "$.detail.AutoScalingGroupName", "at": "$.time"},
        "InputTemplate": '"<group> began at <at>"',
    }
    _rule(local, queue, InputTransformer=transformer)
    local.region.event_bus.announce(STARTED)
    assert _heard(local, queue) == ["web began at 2027-01-01T12:30:05Z"]


def test_a_topic_tells_its_subscribers(local: LocalRegion) -> None:
    topic, queue = _topic(local), _queue(local, sender="sns.amazonaws.com")
    for protocol, endpoint in (("sqs", queue), ("email", "ops@example.com")):
        local.client("sns").subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    _rule(local, topic)
    local.region.event_bus.announce(STARTED)
    (heard,) = _heard(local, queue)
    assert heard["TopicArn"] == topic
    assert json.loads(heard["Message"])["detail"]["InstanceRefreshId"] == "1"


@pytest.mark.parametrize("sender", [None, "cloudwatch.amazonaws.com"])
def test_a_topic_that_lets_eventbridge_publish_nothing_stays_quiet(
    local: LocalRegion, sender: str | None
) -> None:
    topic = _topic(local, sender=sender)
    _rule(local, topic)
    local.region.event_bus.announce(STARTED)
    assert sns_backends[ACCOUNT][REGION].topics[topic].sent_notifications == []


def test_callers_may_not_speak_for_aws(local: LocalRegion) -> None:
    queue = _queue(local)
    _rule(local, queue, {"source": ["aws.autoscaling", "shop"]})
    entry = {"Source": "aws.autoscaling", "DetailType": "x", "Detail": "{}"}
    entries = [entry, entry | {"Source": "shop"}, entry | {"Source": "shop", "Detail": "[1]"}]
    answer = local.client("events").put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 2
    assert answer["Entries"][0] == {
        "ErrorCode": "NotAuthorizedForSourceException",
        "ErrorMessage": "Not authorized for the source.",
    }
    assert answer["Entries"][2]["ErrorCode"] == "MalformedDetail"
    (heard,) = _heard(local, queue)
    assert (heard["source"], heard["id"]) == ("shop", answer["Entries"][1]["EventId"])


def test_ten_events_at_once_are_the_most_and_there_is_one_bus(local: LocalRegion) -> None:
    entry = {"Source": "shop", "DetailType": "x", "Detail": "{}"}
    with pytest.raises(ClientError, match="less than or equal to 10"):
        local.client("events").put_events(Entries=[entry] * 11)
    with pytest.raises(ClientError, match="Event bus other does not exist"):
        local.client("events").put_events(Entries=[entry | {"EventBusName": "other"}])


def test_instances_tell_which_state_they_enter(local: LocalRegion) -> None:
    queue = _queue(local)
    pattern = {"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"]}
    _rule(local, queue, pattern)
    launched = local.client("ec2").run_instances(ImageId=local.ami_id, MinCount=1, MaxCount=1)
    instance_id = launched["Instances"][0]["InstanceId"]
    _advance(local, 60)
    local.client("ec2").terminate_instances(InstanceIds=[instance_id])
    _advance(local, 60)
    heard = _heard(local, queue)
    states = ["pending", "running", "shutting-down", "terminated"]
    assert [each["detail"] for each in heard] == [
        {"instance-id": instance_id, "state": state} for state in states
    ]
    assert heard[0]["resources"] == [f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance_id}"]


def test_a_target_that_would_get_nothing_is_refused(local: LocalRegion) -> None:
    with pytest.raises(ClientError, match="neither a queue nor a topic"):
        _rule(local, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:x")
