# SPDX-License-Identifier: Apache-2.0
"""Instance refreshes of one seed are one story, byte for byte: activities, instances, events and all."""

from __future__ import annotations

import hashlib
import json

from .simulated_world import Client, simulated

SIZE = 9
QUEUE = "arn:aws:sqs:us-east-1:123456789012:heard"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": QUEUE,
        }
    ],
}
REPLACED = 5


def story(seed: int) -> str:
    """Refresh a fleet in which chance has a say, and return the digest of all that was heard."""
    for client in simulated(seed):
        listen(client)
        client.fault(kind="boot", distribution="uniform", low=20, high=60)
        client.fault(kind="launch", code="InsufficientInstanceCapacity", zone="us-east-1a", rate=0.3)
        client.fault(kind="unhealthy", rate=0.1)
        client.group(SIZE)
        client.advance(300)
        before = {each["InstanceId"] for each in members(client)}
        ec2, groups = client.aws("ec2"), client.aws("autoscaling")
        ec2.create_launch_template_version(
            LaunchTemplateName="web", SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.medium"}
        )
        groups.start_instance_refresh(
            AutoScalingGroupName="web",
            DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateName": "web", "Version": "2"}},
            Preferences={"MinHealthyPercentage": 80, "InstanceWarmup": 30},
        )
        for _ in range(8):
            client.advance(200)
            groups.describe_instance_refreshes(AutoScalingGroupName="web")
            groups.describe_scaling_activities(AutoScalingGroupName="web")
            ec2.describe_instances()
        client.aws("sqs").receive_message(QueueUrl="heard", MaxNumberOfMessages=10)
        after = {each["InstanceId"] for each in members(client)}
        assert len(before - after) >= REPLACED, "the refresh has got on"
        return hashlib.sha256(repr(client.heard).encode()).hexdigest()
    raise AssertionError


def listen(client: Client) -> None:
    client.aws("sqs").create_queue(QueueName="heard", Attributes={"Policy": json.dumps(POLICY)})
    events = client.aws("events")
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["aws.autoscaling", "aws.ec2"]}))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": QUEUE}])


def members(client: Client) -> list[dict[str, str]]:
    found = client.aws("autoscaling").describe_auto_scaling_instances()["AutoScalingInstances"]
    return [each for each in found if each["LifecycleState"] == "InService"]


def test_a_refresh_of_one_seed_is_one_story_and_of_another_seed_another() -> None:
    first = story(7)
    assert story(7) == first
    assert story(8) != first
