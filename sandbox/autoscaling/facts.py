# SPDX-License-Identifier: Apache-2.0
"""What Auto Scaling looks up of other services while it answers a call: read from moto, not asked by API.

The lock of Auto Scaling is held then. The locks of EC2 and of the balancer are taken inside it, and never the
other way round: it is the order in which all locks are taken when the region is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.exceptions import ServiceException
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.elbv2.models import elbv2_backends

from sandbox.api.errors import AwsError
from sandbox.api.gateway import Locks
from sandbox.autoscaling.group import Subnet, TemplateReference
from sandbox.autoscaling.member import TemplateVersion


class Facts:
    """Reads moto's other services."""

    def __init__(self, *, account_id: str, region: str, locks: Locks) -> None:
        self._account_id = account_id
        self._region = region
        self._locks = locks

    @property
    def _ec2(self) -> Any:
        return ec2_backends[self._account_id][self._region]

    def subnets(self, subnet_ids: list[str]) -> tuple[Subnet, ...]:
        """Return subnets with their zones."""
        with self._locks.of("ec2"):
            try:
                found = [self._ec2.get_subnet(subnet_id) for subnet_id in subnet_ids]
            except ServiceException as error:
                raise AwsError("ValidationError", str(error.message)) from error
            return tuple(Subnet(each.id, each.availability_zone) for each in found)

    def default_subnets(self, zones: list[str]) -> tuple[Subnet, ...]:
        """Return the default subnets of zones."""
        with self._locks.of("ec2"):
            defaults = self._ec2.get_default_subnets()
            missing = [zone for zone in zones if zone not in defaults]
            if missing:
                raise AwsError("ValidationError", f"No default subnet in {', '.join(missing)}.")
            return tuple(Subnet(defaults[zone].id, zone) for zone in zones)

    def template(self, given: Mapping[str, Any]) -> TemplateReference:
        """Return the launch template that a request names by id or name."""
        template_id, name = given.get("LaunchTemplateId"), given.get("LaunchTemplateName")
        if bool(template_id) == bool(name):
            raise AwsError(
                "ValidationError",
                "Valid requests must contain either launchTemplateId or LaunchTemplateName",
            )
        with self._locks.of("ec2"):
            try:
                if template_id:
                    template = self._ec2.get_launch_template(template_id)
                else:
                    template = self._ec2.get_launch_template_by_name(name)
                if given.get("Version"):
                    template.get_version(given["Version"])
            except ServiceException as error:
                message = f"You must use a valid fully-formed launch template. {error.message}"
                raise AwsError("ValidationError", message) from error
            return TemplateReference(template.id, template.name, given.get("Version"))

    def check_target_groups(self, arns: list[str]) -> None:
        """Refuse target groups that don't exist."""
        with self._locks.of("elbv2"):
            known = elbv2_backends[self._account_id][self._region].target_groups
            if missing := [arn for arn in arns if arn not in known]:
                listed = ", ".join(missing)
                raise AwsError(
                    "ValidationError",
                    "Provided Target Groups may not be valid. Please ensure they exist and try again: "
                    f"{listed}",
                )

    def instance(self, instance_id: str) -> Any | None:
        """Return moto's instance."""
        with self._locks.of("ec2"):
            return self._ec2.get_instance_by_id(instance_id)

    def state_of(self, instance_id: str) -> str:
        """Return the state of an instance; empty if there is none."""
        found = self.instance(instance_id)
        return "" if found is None else str(found.state)

    def states(self) -> dict[str, str]:
        """Return the state of every instance."""
        with self._locks.of("ec2"):
            return {
                instance.id: str(instance.state)
                for reservation in self._ec2.reservations.values()
                for instance in reservation.instances
            }

    def end_of(self, instance_id: str) -> str:
        """Return EC2's reason for the end of an instance."""
        with self._locks.of("ec2"):
            instance = self._ec2.get_instance_by_id(instance_id)
            reason = None if instance is None else instance.state_reason
            return "" if reason is None else str(reason.message or "")

    def cpus(self, instance_type: str) -> int:
        """Return how many CPUs an instance of a type has."""
        found = INSTANCE_TYPES.get(instance_type, {})
        return int(found.get("VCpuInfo", {}).get("DefaultVCpus", 1))

    def alarm_state(self, name: str) -> str:
        """Return the state of a CloudWatch alarm; empty if there is none."""
        with self._locks.of("cloudwatch"):
            found = cloudwatch_backends[self._account_id][self._region].alarms.get(name)
            return "" if found is None else str(found.state_value)

    def version_of(self, template: TemplateReference) -> int:
        """Return the number of the version that a reference stands for now."""
        if template.version and template.version.isdigit():
            return int(template.version)
        with self._locks.of("ec2"):
            found = self._ec2.get_launch_template(template.template_id)
            return int(found.get_version(template.version or "$Default").number)

    def image_of(self, template: TemplateReference) -> str:
        """Return the image that a launch template names, which may be a reference to a parameter."""
        with self._locks.of("ec2"):
            found = self._ec2.get_launch_template(template.template_id)
            return str(found.get_version(template.version or "$Default").data.get("ImageId", ""))

    def template_of(self, instance: Any) -> TemplateVersion | None:
        """Return the launch template that an instance says it was launched from."""
        tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
        template = self._ec2.launch_templates.get(tags.get("aws:ec2launchtemplate:id"))
        if template is None:
            return None
        return TemplateVersion(template.id, template.name, int(tags["aws:ec2launchtemplate:version"]))
