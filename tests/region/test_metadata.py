# SPDX-License-Identifier: Apache-2.0
"""What a machine can learn of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.imds import TOKEN_HEADER, TTL_HEADER, Answer, Question
from sandbox.region import Metadata


class Guest:
    """A machine that asks the metadata service."""

    def __init__(self, local: Any, instance_id: str, metadata: Metadata) -> None:
        seen = local.instance(instance_id)
        self._place = seen["VpcId"], seen["PrivateIpAddress"]
        self._metadata = metadata

    def ask(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """Ask as the machine, without a token."""
        question = Question(method, path, {key.replace("_", "-"): value for key, value in headers.items()})
        return self._metadata.ask(*self._place, question)[0]

    def token(self, ttl: str = "60") -> str:
        """Get a token."""
        answer = self.ask("/latest/api/token", method="PUT", **{TTL_HEADER: ttl})
        assert answer.status == 200
        assert answer.headers[TTL_HEADER] == ttl
        return answer.body.decode()

    def get(self, path: str) -> str:
        """Read a path below meta-data with a token."""
        answer = self.ask(f"/latest/meta-data/{path}", **{TOKEN_HEADER: self.token()})
        assert answer.status == 200, path
        return answer.body.decode()


@pytest.fixture(name="metadata")
def fixture_metadata(local: Any) -> Metadata:
    """Return the region's metadata service."""
    return Metadata(local.region.ledger, "us-east-1")


def test_tokens(local: Any, metadata: Metadata) -> None:
    guest = Guest(local, local.launch(MetadataOptions={"HttpTokens": "required"}), metadata)
    other = Guest(local, local.launch(), metadata)
    path = "/latest/meta-data/instance-id"
    assert guest.ask(path).status == 401
    assert guest.ask(path, **{TOKEN_HEADER: "forged"}).status == 401
    assert guest.ask(path, **{TOKEN_HEADER: guest.token()}).status == 200
    assert guest.ask(path, **{TOKEN_HEADER: other.token()}).status == 401
    assert other.ask(path).status == 200
    for ttl in ("0", "21601", "soon", ""):
        assert guest.ask("/latest/api/token", method="PUT", **{TTL_HEADER: ttl}).status == 400
    forwarded = {TTL_HEADER: "60", "x-forwarded-for": "10.0.0.1"}
    assert guest.ask("/latest/api/token", method="PUT", **forwarded).status == 403
    assert guest.ask(path, method="POST").status == 405


def test_a_stranger_learns_nothing(local: Any, metadata: Metadata) -> None:
    vpc_id = local.instance(local.launch())["VpcId"]
    assert metadata.ask(vpc_id, "172.31.99.99", Question("GET", "/latest/meta-data/"))[0].status == 404


def test_the_endpoint_can_be_turned_off(local: Any, metadata: Metadata) -> None:
    instance_id = local.launch()
    guest = Guest(local, instance_id, metadata)
    local.client("ec2").modify_instance_metadata_options(InstanceId=instance_id, HttpEndpoint="disabled")
    assert guest.ask("/latest/meta-data/").status == 403


def test_what_an_instance_learns(local: Any, metadata: Metadata) -> None:
    public = Ed25519PrivateKey.generate().public_key()
    key = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    ec2 = local.client("ec2")
    ec2.import_key_pair(KeyName="me", PublicKeyMaterial=key)
    instance_id = local.launch(
        KeyName="me",
        UserData="#!/bin/sh\necho hello\n",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "web"}]}],
        MetadataOptions={"InstanceMetadataTags": "enabled", "HttpTokens": "required"},
    )
    ec2.delete_key_pair(KeyName="me")
    guest, seen = Guest(local, instance_id, metadata), local.instance(instance_id)
    mac = seen["NetworkInterfaces"][0]["MacAddress"]
    nic = f"network/interfaces/macs/{mac}/"
    expected = {
        "instance-id": instance_id,
        "ami-id": seen["ImageId"],
        "instance-type": "t3.small",
        "hostname": seen["PrivateDnsName"],
        "local-ipv4": seen["PrivateIpAddress"],
        "public-ipv4": seen["PublicIpAddress"],
        "public-hostname": seen["PublicDnsName"],
        "mac": mac,
        "security-groups": "default",
        "placement/availability-zone": "us-east-1a",
        "placement/region": "us-east-1",
        "public-keys/": "0=me",
        "public-keys/0/": "openssh-key",
        "public-keys/0/openssh-key": key.decode() + "\n",
        "tags/instance/": "role",
        "tags/instance/role": "web",
        "network/interfaces/macs/": f"{mac}/",
        f"{nic}subnet-id": seen["SubnetId"],
        f"{nic}vpc-id": seen["VpcId"],
        f"{nic}vpc-ipv4-cidr-block": "172.31.0.0/16",
        f"{nic}public-ipv4s": seen["PublicIpAddress"],
        f"{nic}security-group-ids": seen["SecurityGroups"][0]["GroupId"],
    }
    assert {path: guest.get(path) for path in expected} == expected
    token = {TOKEN_HEADER: guest.token()}
    assert guest.ask("/latest/user-data", **token).body == b"#!/bin/sh\necho hello\n"
    document = json.loads(guest.ask("/latest/dynamic/instance-identity/document", **token).body)
    assert (document["instanceId"], document["region"]) == (instance_id, "us-east-1")
    assert guest.ask("/latest/meta-data/iam/info", **token).status == 404
    assert guest.ask("/latest/", **token).body == b"dynamic\nmeta-data\nuser-data"
    assert b"2021-03-23" in guest.ask("/", **token).body
    assert guest.ask("/2021-03-23/meta-data/instance-id", **token).body.decode() == instance_id
    assert guest.ask("/1999-01-01/meta-data/", **token).status == 404


def test_without_user_data_or_tags(local: Any, metadata: Metadata) -> None:
    guest = Guest(local, local.launch(), metadata)
    assert guest.ask("/latest/user-data").status == 404
    assert guest.ask("/latest/meta-data/tags/instance/").status == 404
    assert guest.ask("/latest/meta-data/public-keys/").status == 404


def test_role_credentials_are_a_session_of_the_role(local: Any, metadata: Metadata) -> None:
    iam = local.client("iam")
    iam.create_role(RoleName="web", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    instance_id = local.launch(IamInstanceProfile={"Name": "web"})
    guest = Guest(local, instance_id, metadata)
    assert guest.get("iam/security-credentials/") == "web"
    info = json.loads(guest.get("iam/info"))
    assert info["InstanceProfileArn"].endswith(":instance-profile/web")
    credentials = json.loads(guest.get("iam/security-credentials/web"))
    assert credentials == json.loads(guest.get("iam/security-credentials/web"))
    identity = local.client(
        "sts",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["Token"],
    ).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::123456789012:assumed-role/web/{instance_id}"
