# SPDX-License-Identifier: Apache-2.0
"""Launch templates: an update makes a new version, and never touches the old ones.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-launchtemplate.html
"""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.ec2_kinds import Description, Kind, picked, update_tags
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent

NO_TEMPLATE = "InvalidLaunchTemplateId.NotFound"
_DATA = (
    "ImageId",
    "InstanceType",
    "KeyName",
    "UserData",
    "IamInstanceProfile.Arn",
    "IamInstanceProfile.Name",
    "SecurityGroupIds",
    "NetworkInterfaces.DeviceIndex",
    "NetworkInterfaces.AssociatePublicIpAddress",
    "NetworkInterfaces.DeleteOnTermination",
    "NetworkInterfaces.Groups",
    "MetadataOptions.HttpEndpoint",
    "MetadataOptions.HttpTokens",
    "MetadataOptions.HttpPutResponseHopLimit",
    "MetadataOptions.InstanceMetadataTags",
    "BlockDeviceMappings.DeviceName",
    "BlockDeviceMappings.Ebs.VolumeSize",
    "BlockDeviceMappings.Ebs.VolumeType",
    "BlockDeviceMappings.Ebs.Encrypted",
    "BlockDeviceMappings.Ebs.KmsKeyId",
    "BlockDeviceMappings.Ebs.Iops",
    "BlockDeviceMappings.Ebs.Throughput",
    "BlockDeviceMappings.Ebs.DeleteOnTermination",
    "TagSpecifications",
    "Monitoring.Enabled",
    "EbsOptimized",
    "InstanceInitiatedShutdownBehavior",
    "DisableApiTermination",
    "DisableApiStop",
)


class LaunchTemplate:
    """AWS::EC2::LaunchTemplate."""

    type_name = "AWS::EC2::LaunchTemplate"
    properties = frozenset(
        {"LaunchTemplateName", "VersionDescription", "TagSpecifications"}
        | {f"LaunchTemplateData.{name}" for name in _DATA}
    )
    kind = Kind(
        "describe_launch_templates", "LaunchTemplates", "LaunchTemplateIds", NO_TEMPLATE, "launch-template"
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the template with its first version."""
        answer = call.client("ec2").create_launch_template(
            LaunchTemplateName=properties.get("LaunchTemplateName", call.name),
            TagSpecifications=self.kind.specification(call, {"Tags": _own_tags(properties)}),
            **picked(dict(properties), "VersionDescription", "LaunchTemplateData"),
        )
        return self._physical(call, answer["LaunchTemplate"]["LaunchTemplateId"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the latest version; the schema calls it write-only, which it needn't be here."""
        template = self.kind.described(call, physical_id)
        latest = _latest_version(call, physical_id)
        if template is None or latest is None:
            return None
        tags = tagging.shown(template.get("Tags", ()))
        specifications = [{"ResourceType": self.kind.tagged_as, **tags}] if tags else []
        return {
            "LaunchTemplateName": template["LaunchTemplateName"],
            "LaunchTemplateData": latest["LaunchTemplateData"],
            **picked(latest, "VersionDescription"),
            **({"TagSpecifications": specifications} if specifications else {}),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Make a new version if anything of the versions differs, and change the template's tags."""
        ec2 = call.client("ec2")
        if any(before.get(name) != after.get(name) for name in ("LaunchTemplateData", "VersionDescription")):
            ec2.create_launch_template_version(
                LaunchTemplateId=physical_id,
                **picked(dict(after), "VersionDescription", "LaunchTemplateData"),
            )
        old, new = {"Tags": _own_tags(before)}, {"Tags": _own_tags(after)}
        update_tags(call, physical_id, before=old, after=new)
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the template with all versions."""
        del properties
        with absent_is_fine(NO_TEMPLATE):
            call.client("ec2").delete_launch_template(LaunchTemplateId=physical_id)

    def _physical(self, call: Call, template_id: str) -> Physical:
        template = self.kind.described(call, template_id) or {}
        attributes = {
            "LaunchTemplateId": template_id,
            "DefaultVersionNumber": str(template["DefaultVersionNumber"]),
            "LatestVersionNumber": str(template["LatestVersionNumber"]),
        }
        return Physical(template_id, attributes)


def _own_tags(properties: Properties) -> list[Any]:
    """Return the tags of the template itself; CloudFormation's property has one specification at most."""
    return [tag for each in properties.get("TagSpecifications", ()) for tag in each["Tags"]]


def _latest_version(call: Call, template_id: str) -> Description | None:
    ec2 = call.client("ec2")
    answer = unless_absent(
        lambda: ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=["$Latest"]),
        NO_TEMPLATE,
    )
    found: list[Description] = answer["LaunchTemplateVersions"] if answer else []
    return found[0] if found else None


HANDLERS = (LaunchTemplate(),)
