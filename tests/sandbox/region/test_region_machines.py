# SPDX-License-Identifier: Apache-2.0
"""An instance is a machine: what the API says is so, and what the machine does shows in the API."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.machines.podman import Podman
from sandbox.names import of_checkout

from .conftest import RealRegion, until

pytestmark = pytest.mark.sandbox

METADATA = "http://169.254.169.254/latest"
TOKEN = f"$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {METADATA}/api/token)"


# One part of each kind that cloud-init is given most.
USER_DATA = """\
Content-Type: multipart/mixed; boundary="part"
MIME-Version: 1.0

--part
Content-Type: text/cloud-boothook

#cloud-boothook
#!/bin/sh
echo boothook >> /srv/said
--part
Content-Type: text/cloud-config

#cloud-config
bootcmd: ["echo cloud-config >> /srv/said"]
--part
Content-Type: text/x-shellscript

#!/bin/sh
echo shell script >> /srv/said
--part--
"""


def metadata(path: str) -> str:
    """Return the shell command that reads a metadata path with a token."""
    return f'curl -sf -H "X-aws-ec2-metadata-token: {TOKEN}" {METADATA}/{path}'


@pytest.fixture(name="web", scope="module")
def fixture_web(region: RealRegion) -> Iterator[dict[str, Any]]:
    """Return a public machine with a role, user data and tags."""
    iam = region.client("iam")
    iam.create_role(RoleName="web", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    instance = region.launch(
        SecurityGroupIds=[region.group("web", 22)],
        IamInstanceProfile={"Name": "web"},
        UserData=USER_DATA,
        MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web-1"}]}],
    )
    region.run(instance["PublicIpAddress"], "cloud-init status --wait")
    yield instance
    region.terminate(instance["InstanceId"])


def test_the_operators_key_opens_and_no_other(
    region: RealRegion, web: dict[str, Any], tmp_path: Path
) -> None:
    assert region.run(web["PublicIpAddress"], "systemctl is-system-running --wait") == "running\n"
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    refused = region.ssh(web["PublicIpAddress"], "true", key=stranger)
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr


def test_the_machine_is_who_the_api_says(region: RealRegion, web: dict[str, Any]) -> None:
    said = region.run(
        web["PublicIpAddress"],
        f"{metadata('meta-data/instance-id')}; echo; {metadata('meta-data/tags/instance/Name')}; echo;"
        f" {metadata('meta-data/placement/availability-zone')}; echo; hostname;"
        " sort -u /srv/said | paste -sd,;"
        " ip -4 -o addr show scope global | grep -o 'inet [0-9.]*'; cat /sys/class/net/e*/address",
    ).splitlines()
    nic = web["NetworkInterfaces"][0]
    assert said == [
        web["InstanceId"],
        "web-1",
        "us-east-1a",
        web["PrivateDnsName"].partition(".")[0],
        "boothook,cloud-config,shell script",
        f"inet {web['PrivateIpAddress']}",
        nic["MacAddress"],
    ]


def test_metadata_needs_a_token(region: RealRegion, web: dict[str, Any]) -> None:
    code = region.run(
        web["PublicIpAddress"], f"curl -s -o /dev/null -w '%{{http_code}}' {METADATA}/meta-data/"
    )
    assert code == "401"


def test_role_credentials_work_against_the_regions_api(region: RealRegion, web: dict[str, Any]) -> None:
    """No SDK is needed: curl signs a call with what the metadata service gives."""
    address = web["PublicIpAddress"]
    credentials = json.loads(region.run(address, metadata("meta-data/iam/security-credentials/web")))
    call = (
        "curl -s --aws-sigv4 aws:amz:us-east-1:sts"
        f" --user {credentials['AccessKeyId']}:{credentials['SecretAccessKey']}"
        f" -H 'x-amz-security-token: {credentials['Token']}'"
        " --data 'Action=GetCallerIdentity&Version=2011-06-15' $AWS_ENDPOINT_URL/"
    )
    assert f":assumed-role/web/{web['InstanceId']}" in region.run(address, call)


def test_names(region: RealRegion, web: dict[str, Any]) -> None:
    said = region.run(web["PublicIpAddress"], "getent ahostsv4 ip-10-90-3-77.ec2.internal | head -1")
    assert said.split()[0] == "10.90.3.77"


def test_the_status_check_passes(region: RealRegion, web: dict[str, Any]) -> None:
    until(
        lambda: region.client("ec2").describe_instance_status(InstanceIds=[web["InstanceId"]])[
            "InstanceStatuses"
        ][0]["InstanceStatus"]["Status"],
        lambda status: bool(status == "ok"),
        patience_s=15,
    )


def test_the_console_is_the_machines(region: RealRegion, web: dict[str, Any]) -> None:
    output = region.client("ec2").get_console_output(InstanceId=web["InstanceId"], Latest=True)["Output"]
    assert "systemd" in output


def test_a_firewall_change_is_live_at_once(region: RealRegion, web: dict[str, Any]) -> None:
    ec2, group_id = region.client("ec2"), web["SecurityGroups"][0]["GroupId"]
    address = web["PublicIpAddress"]
    assert region.run(address, "true") == ""
    ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=region.admission(22))
    assert region.ssh(address, "true").returncode == 255
    ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=region.admission(22))
    assert region.ssh(address, "true").returncode == 0


def test_a_private_machine_is_reached_only_from_its_group(region: RealRegion, web: dict[str, Any]) -> None:
    ec2 = region.client("ec2")
    group_id = region.group("private")
    pair = {"GroupId": web["SecurityGroups"][0]["GroupId"]}
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [pair]}
    private = region.launch(SubnetId=region.subnet("application")["SubnetId"], SecurityGroupIds=[group_id])
    assert "PublicIpAddress" not in private
    probe = f"timeout 2 sh -c 'nc -z {private['PrivateIpAddress']} 22' || timeout 2 bash -c"
    probe += f" 'exec 3<>/dev/tcp/{private['PrivateIpAddress']}/22' && echo open || echo closed"
    assert region.run(web["PublicIpAddress"], probe) == "closed\n"
    ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[permission])
    until(lambda: region.run(web["PublicIpAddress"], probe), lambda said: bool(said == "open\n"))
    region.terminate(private["InstanceId"])


def test_a_guest_that_powers_off_is_stopped_and_keeps_its_disk(region: RealRegion) -> None:
    instance = region.launch(SecurityGroupIds=[region.group("power", 22)])
    region.run(instance["PublicIpAddress"], "echo kept | sudo tee /srv/kept")
    region.ssh(instance["PublicIpAddress"], "sudo systemctl poweroff")
    stopped = region.await_state(instance["InstanceId"], "stopped")
    assert stopped["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert "PublicIpAddress" not in stopped
    region.client("ec2").start_instances(InstanceIds=[instance["InstanceId"]])
    started = region.await_state(instance["InstanceId"], "running")
    assert started["PublicIpAddress"] != instance["PublicIpAddress"]
    assert region.run(started["PublicIpAddress"], "cat /srv/kept") == "kept\n"
    before = region.run(started["PublicIpAddress"], "cat /proc/1/stat")
    region.client("ec2").reboot_instances(InstanceIds=[instance["InstanceId"]])
    until(
        lambda: region.ssh(started["PublicIpAddress"], "cat /proc/1/stat"),
        lambda done: _differs(done, before),
    )
    region.terminate(instance["InstanceId"])


def _differs(done: subprocess.CompletedProcess[str], before: str) -> bool:
    # Field 22 is when init began.
    return done.returncode == 0 and done.stdout.split()[21] != before.split()[21]


def test_a_machine_killed_from_outside_shows_as_terminated(region: RealRegion) -> None:
    instance = region.launch()
    names = of_checkout(region.state.path.parent)
    Podman(names).signal(instance["InstanceId"], "SIGKILL")
    ended = region.await_state(instance["InstanceId"], "terminated")
    assert ended["StateReason"]["Code"] == "Server.InternalError"


def test_ten_machines_at_once(region: RealRegion) -> None:
    answer = region.client("ec2").run_instances(
        ImageId=region.ami_id(), MinCount=10, MaxCount=10, SubnetId=region.subnet()["SubnetId"]
    )
    instance_ids = [each["InstanceId"] for each in answer["Instances"]]
    for instance_id in instance_ids:
        region.await_state(instance_id, "running")
    region.terminate(*instance_ids)
