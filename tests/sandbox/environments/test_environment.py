# SPDX-License-Identifier: Apache-2.0
"""What the demo promises of the environment: it came up by CloudFormation alone, works, and stays so."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tests.sandbox.environments.demo import Demo

pytestmark = pytest.mark.sandbox

HOST = "api.sandbox.example.com"
PATIENCE_S = 180.0
T = TypeVar("T")


def until(fetch: Callable[[], T], done: Callable[[T], object]) -> T:
    """Fetch until done, for minutes at most."""
    end = time.monotonic() + PATIENCE_S
    while not done(seen := fetch()):
        assert time.monotonic() < end, f"still {seen}"
        time.sleep(0.5)
    return seen


def test_every_stack_is_up(demo: Demo) -> None:
    assert set(demo.stacks().values()) == {"CREATE_COMPLETE"}
    assert len(demo.stacks()) == 13


def test_the_page_is_answered_through_the_balancer_by_the_api_machines(demo: Demo) -> None:
    address = demo.document["address"]
    authority = subprocess.run(
        ["curl", "-sf", f"http://127.0.0.1:{demo.project.port}/_slipway/ca.pem"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    file = demo.project.path / "ca.pem"
    file.write_text(authority)
    url = f"https://{HOST}/health"
    curl = ["curl", "-sif", "--cacert", file, "--resolve", f"{HOST}:443:{address}", url]
    answer = subprocess.run(curl, capture_output=True, text=True, check=True).stdout
    assert answer.startswith("HTTP/2 200")
    assert f"x-slipway-image: {demo.image_of('api')['Name']}" in answer
    target_group = demo.output_of("slipway-sandbox-balancer", "SandboxTargetGroupArn")
    health = demo.client("elbv2").describe_target_health(TargetGroupArn=target_group)
    states = {
        each["Target"]["Id"]: each["TargetHealth"]["State"] for each in health["TargetHealthDescriptions"]
    }
    assert states == {each["InstanceId"]: "healthy" for each in demo.machines("sandbox", "api")}


def test_fleets_stand_in_different_zones_and_run_the_images_they_shall(demo: Demo) -> None:
    zones = [each["Placement"]["AvailabilityZone"] for each in demo.machines("sandbox", "api")]
    assert len(zones) == len(set(zones)) == 4
    # Not the bastions: another test rolls an image out over them.
    for fleet in ("api", "worker"):
        image_id = demo.image_of(fleet)["ImageId"]
        assert {each["ImageId"] for each in demo.machines("sandbox", fleet)} == {image_id}
    assert demo.image_of("worker")["ImageId"] == demo.images()["worker"]["ImageId"]


def test_only_the_bastion_has_a_public_address(demo: Demo) -> None:
    public = Counter(
        fleet
        for fleet in ("api", "worker", "bastion")
        for each in demo.machines("sandbox", fleet)
        if each.get("PublicIpAddress")
    )
    assert public == {"bastion": 1}


def test_a_worker_did_the_job(demo: Demo) -> None:
    """Ask of the machine by its id: another test may have replaced it since."""
    described = demo.client("ec2").describe_instances(InstanceIds=[demo.document["worker"]])
    [machine] = described["Reservations"][0]["Instances"]
    assert {"Key": "slipway:fleet", "Value": "worker"} in machine["Tags"]


def test_an_upload_that_is_no_image_goes_to_the_dead_letter_queue_with_a_reason(demo: Demo) -> None:
    bucket = demo.output_of("slipway-sandbox-storage", "UploadsBucketName")
    demo.client("s3").put_object(Bucket=bucket, Key="bad.png", Body=b"no image")
    name = demo.output_of("slipway-sandbox-functions", "ImageVariantsDeadLetterQueueName")
    sqs = demo.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    letters: dict[str, Any] = {}

    def receive() -> dict[str, Any]:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            letter = json.loads(message["Body"])
            letters[letter["key"]] = letter
        return letters

    until(receive, lambda found: "bad.png" in found)
    assert letters["bad.png"] == {"bucket": bucket, "key": "bad.png", "reason": "it is no image"}


def test_a_second_demo_keeps_everything(demo: Demo) -> None:
    def machines() -> list[str]:
        return [
            each["InstanceId"]
            for fleet in ("api", "worker", "bastion")
            for each in demo.machines("sandbox", fleet)
        ]

    before = machines(), demo.images(), demo.stacks()
    assert demo.project.run("demo").status == 0
    assert (machines(), demo.images(), demo.stacks()) == before


def test_a_machine_that_dies_is_replaced_and_takes_its_place_behind_the_balancer(demo: Demo) -> None:
    killed = demo.machines("sandbox", "worker")[0]["InstanceId"]
    demo.client("ec2").terminate_instances(InstanceIds=[killed])
    replaced = until(
        lambda: [each["InstanceId"] for each in demo.machines("sandbox", "worker")],
        lambda found: len(found) == 1 and found != [killed],
    )
    group = demo.output_of("slipway-sandbox-fleets", "WorkerGroupName")

    def states() -> list[tuple[str, str]]:
        [seen] = demo.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])[
            "AutoScalingGroups"
        ]
        return [(each["InstanceId"], each["LifecycleState"]) for each in seen["Instances"]]

    # The machine itself completes the launch hook once it has started well.
    until(states, lambda found: found == [(replaced[0], "InService")])


def test_provisioning_again_changes_nothing(demo: Demo) -> None:
    plan = demo.json("provision", "--all", "--dry-run")
    assert {stack["action"] for stack in plan["stacks"]} == {"unchanged"}


def test_after_an_image_was_rolled_out_there_is_nothing_to_provision(demo: Demo) -> None:
    """Do what a rollout does: a new template version, the group on it, the parameter written."""
    ec2, autoscaling = demo.client("ec2"), demo.client("autoscaling")
    template = demo.output_of("slipway-sandbox-fleets", "BastionTemplateId")
    group = demo.output_of("slipway-sandbox-fleets", "BastionGroupName")
    image_id = demo.images()["base"]["ImageId"]
    version = ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": image_id}
    )["LaunchTemplateVersion"]["VersionNumber"]
    autoscaling.update_auto_scaling_group(
        AutoScalingGroupName=group,
        LaunchTemplate={"LaunchTemplateId": template, "Version": str(version)},
    )
    demo.client("ssm").put_parameter(
        Name="/slipway/sandbox/bastion/ami", Value=image_id, Type="String", Overwrite=True
    )
    assert {each["action"] for each in demo.json("provision", "--all", "--dry-run")["stacks"]} == {
        "unchanged"
    }
    assert demo.project.run("drift", "--environment", "sandbox").status == 0


@pytest.fixture(name="restored")
def fixture_restored(demo: Demo) -> Any:
    """Provision again afterwards, whatever a test has changed by hand."""
    changes: list[Callable[[], object]] = []
    yield changes.append
    for undo in changes:
        undo()


def test_a_hand_opened_port_shows_up_as_drift(demo: Demo, restored: Callable[..., None]) -> None:
    ec2, group = demo.client("ec2"), demo.output_of("slipway-sandbox-security", "ApiSecurityGroup")
    opened = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=opened)
    restored(lambda: ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=opened))
    told = demo.project.run("drift", "--network", "sandbox")
    assert told.status == 4
    assert "ApiSecurityGroup" in told.stdout


def test_a_changed_bucket_policy_shows_up_as_drift(demo: Demo, restored: Callable[..., None]) -> None:
    s3, bucket = demo.client("s3"), demo.output_of("slipway-sandbox-storage", "UploadsBucketName")
    before = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    policy = json.loads(before)
    policy["Statement"][0]["Effect"] = "Allow"
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    restored(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=before))
    told = demo.project.run("drift", "--environment", "sandbox")
    assert (told.status, "UploadsPolicy" in told.stdout or "Uploads" in told.stdout) == (4, True)


# What a member is made with again.
MEMBER_KEYS = (
    "AutoMinorVersionUpgrade",
    "DBClusterIdentifier",
    "DBInstanceClass",
    "DBInstanceIdentifier",
    "Engine",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "PerformanceInsightsKMSKeyId",
    "PromotionTier",
    "PubliclyAccessible",
)


def test_a_removed_database_member_shows_up_as_drift(demo: Demo, restored: Callable[..., None]) -> None:
    rds = demo.client("rds")
    cluster = demo.output_of("slipway-sandbox-database", "ClusterIdentifier")
    [found] = rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
    member = sorted(each["DBInstanceIdentifier"] for each in found["DBClusterMembers"])[-1]
    [before] = rds.describe_db_instances(DBInstanceIdentifier=member)["DBInstances"]
    again = {name: before[name] for name in MEMBER_KEYS if name in before}
    rds.delete_db_instance(DBInstanceIdentifier=member, SkipFinalSnapshot=True)
    restored(lambda: rds.create_db_instance(EnablePerformanceInsights=True, **again))
    # A reader that has just been made takes a moment to follow.
    patience = {"Delay": 1, "MaxAttempts": 60}
    available = rds.get_waiter("db_instance_available")
    restored(lambda: available.wait(DBInstanceIdentifier=member, WaiterConfig=patience))
    told = demo.project.run("drift", "--network", "sandbox")
    assert told.status == 4
    assert "MemberTwo" in told.stdout
