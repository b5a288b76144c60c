# SPDX-License-Identifier: Apache-2.0
"""A region whose time stands still until it is told, and whose faults are asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.simulation import OtherSeed, Simulation

from .conftest import LocalRegion
from .simulated_world import Client, simulated

TOO_FAR = "seconds: must be a number from 0 to 316224000"


@pytest.fixture(name="client")
def fixture_client() -> Iterator[Client]:
    yield from simulated()


@contextmanager
def running(state_file: Path) -> Iterator[Client]:
    world = simulated(state_file=state_file)
    try:
        yield next(world)
    finally:
        world.close()


def launch(client: Client, **options: Any) -> str:
    options = {
        "ImageId": client.local.ami_id,
        "MinCount": 1,
        "MaxCount": 1,
        "InstanceType": "t3.small",
    } | options
    return str(client.aws("ec2").run_instances(**options)["Instances"][0]["InstanceId"])


def check(client: Client, instance_id: str) -> tuple[str, str]:
    answer = client.aws("ec2").describe_instance_status(InstanceIds=[instance_id], IncludeAllInstances=True)
    found = answer["InstanceStatuses"][0]
    return found["InstanceState"]["Name"], found["InstanceStatus"]["Status"]


def test_time_stands_still_until_it_is_told(client: Client) -> None:
    assert client.page("GET", "clock") == (
        200,
        {"now": "2027-01-01T00:00:00+00:00", "seed": 7, "is_virtual": True},
    )
    instance_id = launch(client)
    assert client.advance(29.5) == {"now": "2027-01-01T00:00:29.500000+00:00", "actions": 6}
    assert check(client, instance_id) == ("pending", "not-applicable")
    assert client.advance(0.5)["now"] == "2027-01-01T00:00:30+00:00"
    assert check(client, instance_id) == ("running", "ok")
    launched = client.local.instance(instance_id)["LaunchTime"]
    assert launched.isoformat() == "2027-01-01T00:00:00+00:00"


def test_machines_take_their_time_to_end_and_are_forgotten_after_an_hour(client: Client) -> None:
    instance_id = launch(client)
    client.advance(60)
    client.aws("ec2").stop_instances(InstanceIds=[instance_id])
    assert check(client, instance_id)[0] == "stopping"
    client.advance(10)
    assert check(client, instance_id)[0] == "stopped"
    client.aws("ec2").terminate_instances(InstanceIds=[instance_id])
    client.advance(10)
    assert check(client, instance_id)[0] == "terminated"
    reason = client.local.instance(instance_id)["StateTransitionReason"]
    assert reason == "User initiated (2027-01-01 00:01:10 GMT)"
    client.advance(3700)
    assert client.aws("ec2").describe_instances()["Reservations"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("clock/advance", b"", 400, "the body must be JSON"),
        ("clock/advance", b"{}", 400, 'the body must be {"seconds": N}'),
        ("clock/advance", b'{"seconds": 1, "x": 1}', 400, 'the body must be {"seconds": N}'),
        ("clock/advance", b'{"seconds": -1}', 400, TOO_FAR),
        ("clock/advance", b'{"seconds": "1"}', 400, TOO_FAR),
        ("clock/advance", b'{"seconds": NaN}', 400, TOO_FAR),
        ("clock", b"", 405, "clock: only GET"),
        ("weather", b"", 404, "no such page"),
        ("faults", b'{"kind": "boot", "second": 1}', 400, None),
    ],
)
def test_what_pages_can_t_do_they_refuse(
    client: Client, path: str, body: bytes, status: int, message: str | None
) -> None:
    answer = client.page("POST", path, body=body)
    assert answer[0] == status
    assert message is None or answer[1] == {"error": message}


def test_the_clock_of_another_region_can_t_be_moved(local: LocalRegion) -> None:
    client = Client(local)
    refused = {"error": "the clock of a real region can't be moved, and its faults are its own"}
    assert client.page("POST", "clock/advance", {"seconds": 1}) == (409, refused)
    assert client.page("GET", "faults") == (409, refused)


def test_faults_are_listed_and_removed(client: Client) -> None:
    first = client.fault(kind="unhealthy", rate=0.5)
    second = client.fault(kind="api", code="Throttling", service="ec2")
    assert client.page("GET", "faults")[1] == {
        "faults": [
            {"id": first, "kind": "unhealthy", "rate": 0.5},
            {"id": second, "kind": "api", "service": "ec2", "code": "Throttling", "rate": 1.0},
        ]
    }
    assert client.page("DELETE", f"faults/{second}") == (200, {"removed": [second]})
    assert client.page("GET", f"faults/{second}") == (404, {"error": f"there is no fault {second}"})
    client.aws("ec2").describe_vpcs()
    assert client.page("DELETE", "faults") == (200, {"removed": [first]})
    assert client.page("GET", "faults") == (200, {"faults": []})


def test_a_launch_is_refused_with_aws_s_code(client: Client) -> None:
    client.fault(kind="launch", code="InsufficientInstanceCapacity", instance_type="t3.small", count=1)
    with pytest.raises(ClientError) as refused:
        launch(client)
    assert refused.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    launch(client)


def test_a_group_goes_to_the_zones_that_have_capacity(client: Client) -> None:
    client.fault(kind="launch", code="InsufficientInstanceCapacity", zone="us-east-1a")
    client.group(6)
    client.advance(120)
    zones = [zone for zone, *_ in client.members()]
    assert (len(zones), set(zones)) == (6, {"us-east-1b", "us-east-1c"})


def test_a_machine_that_never_gets_well_is_impaired_and_its_group_replaces_it(client: Client) -> None:
    number = client.fault(kind="unhealthy", zone="us-east-1a")
    client.group(3, HealthCheckGracePeriod=60)
    client.advance(31)
    before = client.members()
    client.page("DELETE", f"faults/{number}")
    client.advance(600)
    assert before == [(f"us-east-1{zone}", "InService", "HEALTHY") for zone in "abc"]
    assert client.members() == before
    activities = client.aws("autoscaling").describe_scaling_activities()["Activities"]
    assert len([each for each in activities if each["Description"].startswith("Terminating")]) == 1


def test_calls_are_refused_at_the_rate_that_was_asked_for(client: Client) -> None:
    client.fault(kind="api", code="RequestLimitExceeded", service="ec2", operation="DescribeVpcs", rate=0.5)
    codes = []
    for _ in range(20):
        try:
            client.aws("ec2").describe_vpcs()
            codes.append(200)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "RequestLimitExceeded"
            codes.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
    assert set(codes) == {200, 503}
    client.aws("ec2").describe_subnets()


def test_stack_operations_wait_by_the_region_s_time(client: Client) -> None:
    subnets = [each["SubnetId"] for each in client.aws("ec2").describe_subnets()["Subnets"][:2]]
    balancer = {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": {"Subnets": subnets}}
    quick = {"Resources": {"Q": {"Type": "AWS::SQS::Queue"}, "T": {"Type": "AWS::SNS::Topic"}}}
    stacks = client.aws("cloudformation")

    def status(name: str) -> str:
        return str(stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    stacks.create_stack(StackName="slow", TemplateBody=json.dumps({"Resources": {"B": balancer}}))
    assert status("slow") == "CREATE_IN_PROGRESS"
    client.advance(15)
    assert status("slow") == "CREATE_COMPLETE"
    stacks.delete_stack(StackName="slow")
    stacks.create_stack(StackName="quick", TemplateBody=json.dumps(quick))
    assert status("quick") == "CREATE_COMPLETE"
    stacks.delete_stack(StackName="quick")
    client.advance(60)
    assert [each["StackStatus"] for each in stacks.list_stacks()["StackSummaries"]] == [
        "DELETE_COMPLETE",
        "DELETE_COMPLETE",
    ]


def test_a_queue_answers_at_once_however_long_a_caller_would_wait(client: Client) -> None:
    url = client.aws("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    began = time.monotonic()
    assert "Messages" not in client.aws("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20)
    assert time.monotonic() - began < 5
    client.aws("sqs").send_message(QueueUrl=url, MessageBody="x", DelaySeconds=30)
    assert "Messages" not in client.aws("sqs").receive_message(QueueUrl=url)
    client.advance(31)
    assert [each["Body"] for each in client.aws("sqs").receive_message(QueueUrl=url)["Messages"]] == ["x"]


def test_a_restart_goes_on_at_the_same_time_with_the_same_machines(tmp_path: Path) -> None:
    state_file = tmp_path / "simulated.state"
    with running(state_file) as client:
        instance_id = launch(client)
        client.fault(kind="unhealthy", zone="us-east-1f")
        client.advance(3600.25)
        faults = client.page("GET", "faults")
    with running(state_file) as client:
        assert client.page("GET", "clock")[1]["now"] == "2027-01-01T01:00:00.250000+00:00"
        assert client.page("GET", "faults") == faults
        assert client.local.instance(instance_id)["State"]["Name"] == "running"
        assert launch(client) != instance_id
        with pytest.raises(OtherSeed):
            Simulation(8).go_on(client.local.region.ledger.backend)


def test_status_says_mode_seed_and_time(client: Client) -> None:
    client.advance(90)
    status = json.loads(client.local.fetch("GET", "/_slipway/status"))
    assert (status["mode"], status["seed"], status["now"]) == ("simulated", 7, "2027-01-01T00:01:30+00:00")
