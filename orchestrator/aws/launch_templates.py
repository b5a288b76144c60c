# SPDX-License-Identifier: Apache-2.0
"""Launch templates on EC2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.aws.session import AwsSession, translated
from orchestrator.domain.fleet import LaunchTemplateVersion
from orchestrator.errors import NotFound


class AwsLaunchTemplates:
    """The launch templates of one region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @property
    def _api(self) -> Any:
        return self._session.client("ec2")

    @translated
    def version(self, template_id: str, version: str) -> LaunchTemplateVersion:
        """Return a version by its number as text, $Latest or $Default, or raise NotFound."""
        page = self._api.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=[version])
        if not page["LaunchTemplateVersions"]:
            code = "InvalidLaunchTemplateId.VersionNotFound"
            raise NotFound("ec2", "DescribeLaunchTemplateVersions", code, f"{template_id} {version}")
        return _version(page["LaunchTemplateVersions"][0])

    @translated
    def create_version(
        self, template_id: str, *, source: int, ami_id: str, description: str, token: str
    ) -> int:
        """Make a version like `source` with another image and return its number.

        https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
        """
        made = self._api.create_launch_template_version(
            LaunchTemplateId=template_id,
            SourceVersion=str(source),
            LaunchTemplateData={"ImageId": ami_id},
            VersionDescription=description,
            ClientToken=token,
        )
        return int(made["LaunchTemplateVersion"]["VersionNumber"])

    @translated
    def set_default(self, template_id: str, number: int) -> None:
        """Make a version the one that is launched when none is named."""
        self._api.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=str(number))


def _version(raw: Mapping[str, Any]) -> LaunchTemplateVersion:
    data = raw.get("LaunchTemplateData", {})
    return LaunchTemplateVersion(
        template_id=raw["LaunchTemplateId"],
        number=raw["VersionNumber"],
        ami_id=data.get("ImageId", ""),
        instance_type=data.get("InstanceType", ""),
        description=raw.get("VersionDescription", ""),
        is_default=raw["DefaultVersion"],
        key_name=data.get("KeyName", ""),
        instance_profile=_profile(data.get("IamInstanceProfile", {})),
        security_group_ids=_security_groups(data),
    )


def _profile(raw: Mapping[str, str]) -> str:
    """Return an instance profile's name, whichever way the template names it."""
    return raw.get("Name") or raw.get("Arn", "").rpartition("/")[2]


def _security_groups(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the security groups: they are the template's, or those of its first network interface."""
    interfaces = data.get("NetworkInterfaces") or [{}]
    return tuple(data.get("SecurityGroupIds") or interfaces[0].get("Groups", ()))
