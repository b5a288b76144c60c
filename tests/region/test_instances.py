# SPDX-License-Identifier: Apache-2.0
"""Instances follow their machines, and machines their instances."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.substrate import PowerState
from sandbox.watcher import HEALTH_EVERY


def code_of(call: Any, **arguments: Any) -> str:
    """Return the error code that a call answers."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_an_instance_is_pending_until_its_machine_runs(local: Any, substrate: Any) -> None:
    answer = local.client("ec2").run_instances(ImageId=local.ami_id, MinCount=1, MaxCount=1)
    instance = answer["Instances"][0]
    assert instance["State"] == {"Code": 0, "Name": "pending"}
    running = local.await_state(instance["InstanceId"], "running")
    assert substrate.power[instance["InstanceId"]] is PowerState.RUNNING
    assert "StateReason" not in running
    assert (running["RootDeviceType"], running["RootDeviceName"]) == ("ebs", "/dev/xvda")


def test_max_count_instances_are_launched(local: Any, substrate: Any) -> None:
    answer = local.client("ec2").run_instances(ImageId=local.ami_id, MinCount=1, MaxCount=3)
    addresses = {instance["PrivateIpAddress"] for instance in answer["Instances"]}
    assert len(addresses) == 3
    local.until(lambda: len(substrate.power), lambda count: count == 3)


def test_stop_and_start_change_the_public_address_only(local: Any, substrate: Any) -> None:
    instance_id = local.launch()
    before = local.instance(instance_id)
    local.client("ec2").stop_instances(InstanceIds=[instance_id])
    stopped = local.await_state(instance_id, "stopped")
    assert substrate.power[instance_id] is PowerState.POWERED_OFF
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert stopped["StateTransitionReason"].startswith("User initiated (20")
    assert "PublicIpAddress" not in stopped
    local.client("ec2").start_instances(InstanceIds=[instance_id])
    after = local.await_state(instance_id, "running")
    assert after["PublicIpAddress"] != before["PublicIpAddress"]
    kept = ("PrivateIpAddress", "InstanceId", "SubnetId")
    assert [after[key] for key in kept] == [before[key] for key in kept]
    macs = [each["NetworkInterfaces"][0]["MacAddress"] for each in (before, after)]
    assert macs[0] == macs[1]


def test_terminate_removes_machine_volume_and_interface(local: Any, substrate: Any) -> None:
    ec2 = local.client("ec2")
    instance_id = local.launch()
    answer = ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert answer["CurrentState"]["Name"] == "shutting-down"
    local.await_state(instance_id, "terminated")
    assert instance_id not in substrate.power
    assert substrate.networks == ()
    assert ec2.describe_volumes()["Volumes"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_an_instance_can_be_terminated_while_it_stops(local: Any, substrate: Any) -> None:
    instance_id = local.launch()
    shut_down, may_end = substrate.stop, threading.Event()

    def stop_slowly(stopped_id: str, *, force: bool = False) -> None:
        may_end.wait(5)
        shut_down(stopped_id, force=force)

    substrate.stop = stop_slowly
    local.client("ec2").stop_instances(InstanceIds=[instance_id])
    local.client("ec2").terminate_instances(InstanceIds=[instance_id])
    may_end.set()
    local.await_state(instance_id, "terminated")
    assert instance_id not in substrate.power


def test_a_machine_that_does_not_start_is_terminated_with_the_reason(local: Any, substrate: Any) -> None:
    substrate.failing_starts[local.ami_id] = "no space left"
    answer = local.client("ec2").run_instances(ImageId=local.ami_id, MinCount=1, MaxCount=1)
    seen = local.await_state(answer["Instances"][0]["InstanceId"], "terminated")
    assert seen["StateReason"]["Code"] == "Server.InternalError"
    assert "no space left" in seen["StateReason"]["Message"]


@pytest.mark.parametrize(
    ("power", "behaviour", "state", "reason"),
    [
        (PowerState.POWERED_OFF, "stop", "stopped", "Client.InstanceInitiatedShutdown"),
        (PowerState.POWERED_OFF, "terminate", "terminated", "Client.InstanceInitiatedShutdown"),
        (PowerState.KILLED, "stop", "terminated", "Server.InternalError"),
        (PowerState.MISSING, "stop", "terminated", "Server.InternalError"),
    ],
)
def test_what_a_machine_does_by_itself_shows(
    local: Any, substrate: Any, power: PowerState, behaviour: str, state: str, reason: str
) -> None:
    instance_id = local.launch(InstanceInitiatedShutdownBehavior=behaviour)
    substrate.power[instance_id] = power
    local.region.look()
    seen = local.instance(instance_id)
    assert (seen["State"]["Name"], seen["StateReason"]["Code"]) == (state, reason)


def test_a_guest_that_reboots_is_started_again(local: Any, substrate: Any) -> None:
    instance_id = local.launch()
    substrate.power[instance_id] = PowerState.REBOOTING
    local.region.look()
    assert substrate.power[instance_id] is PowerState.RUNNING
    assert local.instance(instance_id)["State"]["Name"] == "running"


def test_status_is_initializing_until_it_was_seen_to_be_well(local: Any, substrate: Any) -> None:
    instance_id = local.launch()
    ec2 = local.client("ec2")

    def status() -> str:
        statuses = ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        return str(statuses[0]["InstanceStatus"]["Status"])

    assert status() == "initializing"
    local.region.look()
    assert status() == "ok"
    substrate.frozen.add(instance_id)
    for _ in range(HEALTH_EVERY):
        local.region.look()
    assert status() == "impaired"
    substrate.frozen.clear()
    for _ in range(HEALTH_EVERY):
        local.region.look()
    assert status() == "ok"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "z9.enormous"}, "InvalidInstanceType.NotFound"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroupIds": ["sg-00000000000000000"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": "subnet-00000000000000000"}, "InvalidSubnetID.NotFound"),
        ({"MinCount": 2}, "InvalidParameterValue"),
        ({"IamInstanceProfile": {"Name": "nobody"}}, "InvalidParameterValue"),
        ({"InstanceMarketOptions": {"MarketType": "spot"}}, "UnsupportedOperation"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdz", "Ebs": {"VolumeSize": 9}}]},
            "UnsupportedOperation",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}]},
            "InvalidBlockDeviceMapping",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_launch_that_cannot_be_is_refused(local: Any, options: dict[str, Any], code: str) -> None:
    arguments = {"ImageId": local.ami_id, "MinCount": 1, "MaxCount": 1} | options
    assert code_of(local.client("ec2").run_instances, **arguments) == code
    assert local.client("ec2").describe_instances()["Reservations"] == []


def test_the_same_client_token_launches_once(local: Any) -> None:
    first = local.launch(ClientToken="once")
    assert local.launch(ClientToken="once") == first
    assert local.launch(ClientToken="twice") != first


def test_tags_of_instance_and_volume(local: Any) -> None:
    tags = [{"ResourceType": kind, "Tags": [{"Key": "k", "Value": kind}]} for kind in ("instance", "volume")]
    instance_id = local.launch(TagSpecifications=tags)
    assert local.instance(instance_id)["Tags"] == [{"Key": "k", "Value": "instance"}]
    volume = local.client("ec2").describe_volumes()["Volumes"][0]
    assert volume["Tags"] == [{"Key": "k", "Value": "volume"}]
    image = local.client("ec2").describe_images(ImageIds=[local.ami_id])["Images"][0]
    assert volume["SnapshotId"] == image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]


def test_protection_from_termination(local: Any) -> None:
    ec2 = local.client("ec2")
    instance_id = local.launch(DisableApiTermination=True)
    assert code_of(ec2.terminate_instances, InstanceIds=[instance_id]) == "OperationNotPermitted"
    ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[instance_id])
    local.await_state(instance_id, "terminated")


def test_shutdown_behaviour_can_be_changed(local: Any, substrate: Any) -> None:
    instance_id = local.launch()
    local.client("ec2").modify_instance_attribute(
        InstanceId=instance_id, InstanceInitiatedShutdownBehavior={"Value": "terminate"}
    )
    substrate.power[instance_id] = PowerState.POWERED_OFF
    local.region.look()
    assert local.instance(instance_id)["State"]["Name"] == "terminated"


def test_operations_in_the_wrong_state(local: Any) -> None:
    ec2 = local.client("ec2")
    instance_id = local.launch()
    assert (
        code_of(ec2.modify_instance_attribute, InstanceId=instance_id, InstanceType={"Value": "t3.large"})
        == "IncorrectInstanceState"
    )
    ec2.terminate_instances(InstanceIds=[instance_id])
    local.await_state(instance_id, "terminated")
    for call in (ec2.start_instances, ec2.stop_instances, ec2.reboot_instances):
        assert code_of(call, InstanceIds=[instance_id]) == "IncorrectInstanceState"


def test_console_output(local: Any) -> None:
    instance_id = local.launch()
    output = local.client("ec2").get_console_output(InstanceId=instance_id, Latest=True)["Output"]
    assert "is simulated" in output
    assert base64.b64encode(output.encode())


def test_a_launch_template_is_followed(local: Any) -> None:
    ec2, iam = local.client("ec2"), local.client("iam")
    iam.create_role(RoleName="web", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    ssm = local.client("ssm")
    ssm.put_parameter(Name="/slipway/sandbox/web/ami", Value=local.ami_id, Type="String")
    data = {
        "ImageId": "resolve:ssm:/slipway/sandbox/web/ami",
        "InstanceType": "t3.micro",
        "IamInstanceProfile": {"Name": "web"},
        "MetadataOptions": {"HttpTokens": "required"},
    }
    ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    answer = ec2.run_instances(
        MinCount=1, MaxCount=2, LaunchTemplate={"LaunchTemplateName": "web", "Version": "1"}
    )
    for instance in answer["Instances"]:
        seen = local.await_state(instance["InstanceId"], "running")
        assert seen["ImageId"] == local.ami_id
        assert seen["InstanceType"] == "t3.micro"
        assert seen["IamInstanceProfile"]["Arn"].endswith(":instance-profile/web")
        assert seen["MetadataOptions"]["HttpTokens"] == "required"
