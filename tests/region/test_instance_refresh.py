# SPDX-License-Identifier: Apache-2.0
"""Instance refreshes as the API shows and refuses them.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_StartInstanceRefresh.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .refresh_calls import GROUP, a_group, refusal, shown, start, use_version
from .simulated_world import Client, simulated

ALARM = {"Namespace": "test", "MetricName": "errors", "Statistic": "Sum", "Period": 60}
SSM_IMAGE = "resolve:ssm:/images/web"


@pytest.fixture(name="client")
def fixture_client() -> Iterator[Client]:
    """Return a region with a group of four, in service, of version 1 of two."""
    yield from a_group()


def test_one_refresh_at_a_time(client: Client) -> None:
    start(client)
    code, message = refusal(lambda: start(client))
    assert code == "InstanceRefreshInProgress"
    assert message == (
        "The request failed because an active instance refresh already exists for the specified Auto Scaling "
        "group."
    )


@pytest.mark.parametrize("operation", ["cancel_instance_refresh", "rollback_instance_refresh"])
def test_without_an_active_one_there_is_nothing_to_cancel_or_to_take_back(
    client: Client, operation: str
) -> None:
    call = getattr(client.aws("autoscaling"), operation)
    assert refusal(lambda: call(AutoScalingGroupName=GROUP))[0] == "ActiveInstanceRefreshNotFound"
    start(client, MinHealthyPercentage=0, InstanceWarmup=0)
    client.advance(600)
    assert shown(client)[0]["Status"] == "Successful"
    assert refusal(lambda: call(AutoScalingGroupName=GROUP))[0] == "ActiveInstanceRefreshNotFound"


@pytest.mark.parametrize("spoil", ["no desired configuration", "$Latest", "an SSM parameter"])
def test_what_cant_be_taken_back_says_so(client: Client, spoil: str) -> None:
    if spoil == "$Latest":
        use_version(client, "$Latest")
    if spoil == "an SSM parameter":
        client.aws("ssm").put_parameter(Name="/images/web", Value=client.local.ami_id, Type="String")
        client.aws("ec2").create_launch_template_version(
            LaunchTemplateName="web", SourceVersion="1", LaunchTemplateData={"ImageId": SSM_IMAGE}
        )
        use_version(client, "3")
        assert refusal(lambda: start(client))[0] == "ValidationError"
        return
    start(client, desired=spoil != "no desired configuration", InstanceWarmup=3000)
    client.advance(60)
    call = client.aws("autoscaling").rollback_instance_refresh
    assert refusal(lambda: call(AutoScalingGroupName=GROUP))[0] == "IrreversibleInstanceRefresh"
    assert shown(client)[0]["Status"] == "InProgress"


def test_the_launch_template_cant_be_changed_while_a_desired_configuration_is_rolled_out(
    client: Client,
) -> None:
    start(client, InstanceWarmup=3000)
    code, message = refusal(lambda: use_version(client, "2"))
    assert (code, message) == (
        "ValidationError",
        "An active instance refresh with a desired configuration exists. All configuration options derived "
        "from the desired configuration are not available for update while the instance refresh is active.",
    )
    client.aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=9)


@pytest.mark.parametrize("state", ["ALARM", "INSUFFICIENT_DATA"])
def test_an_alarm_that_is_not_ok_keeps_a_refresh_from_beginning(client: Client, state: str) -> None:
    cloudwatch = client.aws("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        **ALARM,
    )
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")
    code, message = refusal(lambda: start(client, AlarmSpecification={"Alarms": ["errors"]}))
    assert code == "ValidationError"
    assert message.endswith(f"the CloudWatch alarm errors is in state {state}.")


def test_an_alarm_meanwhile_takes_it_back(client: Client) -> None:
    cloudwatch = client.aws("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        **ALARM,
    )
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="test")
    alarms = {"Alarms": ["errors"]}
    start(client, AutoRollback=True, AlarmSpecification=alarms, MinHealthyPercentage=75, InstanceWarmup=600)
    client.advance(100)
    data = {"MetricName": "errors", "Value": 5.0}
    cloudwatch.put_metric_data(Namespace="test", MetricData=[data])
    client.advance(100)
    client.advance(600)
    [found] = shown(client)
    assert found["Status"] == "RollbackSuccessful"
    details = found["RollbackDetails"]
    assert details["RollbackReason"] == "The CloudWatch alarm errors is in state ALARM."
    assert versions(client) == {"1"}


def versions(client: Client) -> set[str]:
    groups = client.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {each["LaunchTemplate"]["Version"] for each in groups[0]["Instances"]}


def test_a_refresh_is_shown_with_its_preferences_and_its_configuration(client: Client) -> None:
    refresh_id = start(
        client,
        MinHealthyPercentage=50,
        MaxHealthyPercentage=125,
        CheckpointPercentages=[50, 100],
        CheckpointDelay=600,
        AutoRollback=True,
        StandbyInstances="Ignore",
        InstanceWarmup=300,
    )
    client.advance(30)
    [found] = shown(client, InstanceRefreshIds=[refresh_id])
    begun = found.pop("StartTime")
    assert begun.tzinfo is not None
    reason = found.pop("StatusReason")
    assert reason.startswith("Waiting for")
    desired = found.pop("DesiredConfiguration")["LaunchTemplate"]
    assert (desired["LaunchTemplateName"], desired["Version"]) == ("web", "2")
    assert found == {
        "InstanceRefreshId": refresh_id,
        "AutoScalingGroupName": GROUP,
        "Status": "InProgress",
        "PercentageComplete": 0,
        "InstancesToUpdate": 4,
        "Strategy": "Rolling",
        "Preferences": {
            "MinHealthyPercentage": 50,
            "MaxHealthyPercentage": 125,
            "InstanceWarmup": 300,
            "CheckpointPercentages": [50, 100],
            "CheckpointDelay": 600,
            "SkipMatching": False,
            "AutoRollback": True,
            "ScaleInProtectedInstances": "Wait",
            "StandbyInstances": "Ignore",
        },
    }


def test_refreshes_are_listed_newest_first_in_pages_and_for_six_weeks(client: Client) -> None:
    ids = []
    for _ in range(3):
        ids.append(start(client, MinHealthyPercentage=0, InstanceWarmup=0))
        client.advance(600)
    assert [each["InstanceRefreshId"] for each in shown(client)] == ids[::-1]
    groups = client.aws("autoscaling")
    first = groups.describe_instance_refreshes(AutoScalingGroupName=GROUP, MaxRecords=2)
    rest = groups.describe_instance_refreshes(AutoScalingGroupName=GROUP, NextToken=first["NextToken"])
    assert [len(first["InstanceRefreshes"]), len(rest["InstanceRefreshes"])] == [2, 1]
    assert "NextToken" not in rest
    too_many = {"AutoScalingGroupName": GROUP, "MaxRecords": 101}
    assert refusal(lambda: groups.describe_instance_refreshes(**too_many))[0] == "ValidationError"
    wrong = {"AutoScalingGroupName": GROUP, "NextToken": "???"}
    assert refusal(lambda: groups.describe_instance_refreshes(**wrong))[0] == "InvalidNextToken"


def test_what_a_refresh_tells_reaches_a_queue_by_a_rule(client: Client) -> None:
    sqs, events = client.aws("sqs"), client.aws("events")
    arn = "arn:aws:sqs:us-east-1:123456789012:told"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }
        ],
    }
    url = sqs.create_queue(QueueName="told", Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
    prefix = {"prefix": "EC2 Auto Scaling Instance Refresh"}
    pattern = {"source": ["aws.autoscaling"], "detail-type": [prefix]}
    events.put_rule(Name="refreshes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="refreshes", Targets=[{"Id": "queue", "Arn": arn}])
    refresh_id = start(client, MinHealthyPercentage=50, InstanceWarmup=0, CheckpointPercentages=[50, 100])
    client.advance(5 * 3600)
    told = [
        json.loads(each["Body"])
        for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ]
    titles = [each["detail-type"].removeprefix("EC2 Auto Scaling Instance Refresh ") for each in told]
    assert sorted(titles) == ["Checkpoint Reached", "Started", "Succeeded"]
    checkpoint = next(each["detail"] for each in told if "Checkpoint" in each["detail-type"])
    assert checkpoint == {
        "InstanceRefreshId": refresh_id,
        "AutoScalingGroupName": GROUP,
        "CheckpointPercentage": "50",
        "CheckpointDelay": "3600",
    }


def test_a_refresh_survives_a_restart_of_the_region(tmp_path: Path) -> None:
    state_file = tmp_path / "state"
    for client in simulated(state_file=state_file):
        client.group(4)
        use_version(client, "1")
        client.aws("ec2").create_launch_template_version(
            LaunchTemplateName="web", SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.medium"}
        )
        client.advance(300)
        start(client, MinHealthyPercentage=75, InstanceWarmup=100)
        client.advance(150)
        [before] = shown(client)
    for client in simulated(state_file=state_file):
        assert shown(client) == [before]
        client.advance(3600)
        assert shown(client)[0]["Status"] == "Successful"
        assert versions(client) == {"2"}
