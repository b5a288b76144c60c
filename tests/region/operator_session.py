# SPDX-License-Identifier: Apache-2.0
"""Plans of rollouts in a region with all stacks, made with an operator's role and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint
from orchestrator.clock import SystemClock
from orchestrator.commands.rollout_world import world_of
from orchestrator.config.loader import load_environment
from orchestrator.domain.manifest import Contents, Manifest
from orchestrator.workflows.bake_ami.publication import manifest_key
from orchestrator.workflows.rollout.world import RolloutWorld

from .conftest import REGION, LocalRegion

PROJECT = Path(__file__).resolve().parents[2]


class RoleSession(AwsSession):
    """Signs with the credentials of a role's session."""

    def __init__(self, endpoint: Endpoint, credentials: dict[str, str]) -> None:
        super().__init__(endpoint)
        self._keys = credentials

    def _credentials(self) -> dict[str, str]:
        return {"region_name": REGION} | self._keys


def operator_session(local: LocalRegion, environment: str) -> AwsSession:
    """Return a session of the environment's operators."""
    roles = local.client("iam").list_roles()["Roles"]
    arn = next(each["Arn"] for each in roles if each["RoleName"] == f"slipway-{environment}-operators")
    given = local.client("sts").assume_role(RoleArn=arn, RoleSessionName="ann")["Credentials"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    return RoleSession(Endpoint(REGION, local.endpoint, CredentialSource.LOCAL), keys)


def rollout_world(local: LocalRegion, name: str) -> RolloutWorld:
    """Return the world of an operator who rolls a fleet."""
    session, clock = operator_session(local, name), SystemClock()
    environment = load_environment(PROJECT, name)
    run_id = "rollout-20270101T000000-abcdef"
    return world_of(environment, session, clock, operator="ann@example", run_id=run_id)


def publish(local: LocalRegion, bucket: str, class_name: str, letter: str) -> str:
    """Have an image of a class with its manifest, as a bake leaves them; return its id."""
    ec2, name = local.client("ec2"), f"{class_name}-{letter * 32}"
    tags = [{"Key": "slipway:class", "Value": class_name}, {"Key": "slipway:state", "Value": "published"}]
    ami_id = str(
        ec2.copy_image(
            Name=name,
            SourceImageId=local.ami_id,
            SourceRegion=REGION,
            TagSpecifications=[{"ResourceType": "image", "Tags": tags}],
        )["ImageId"]
    )

    def look() -> dict[str, Any]:
        return dict(ec2.describe_images(ImageIds=[ami_id])["Images"][0])

    made_at = local.until(look, lambda seen: bool(seen["State"] == "available"))["CreationDate"]
    manifest = Manifest(
        class_name, letter * 32, name, ami_id, "", SystemClock().now(), {"made": made_at}, Contents()
    )
    local.client("s3").put_object(Bucket=bucket, Key=manifest_key(name), Body=manifest.to_json().encode())
    return ami_id
