# SPDX-License-Identifier: Apache-2.0
"""Make the calls that groups ask for: to EC2, to the balancer, and to the targets of hooks."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from sandbox.autoscaling.activities import moment
from sandbox.autoscaling.group import LaunchOrder, TemplateReference
from sandbox.autoscaling.member import TemplateVersion
from sandbox.autoscaling.work import Launched, Notice, Outcome, Refused, Work
from sandbox.event_bus import Event

log = logging.getLogger(__name__)

# Another zone may still have what one has not.
_CAPACITY_CODES = frozenset(
    {"InsufficientInstanceCapacity", "InsufficientFreeAddressesInSubnet", "Unsupported"}
)
# What the balancer says of a target that does not serve, or not yet.
_UNREADY = frozenset({"initial", "unhealthy", "unavailable"})


class RegionCalls:
    """Calls the region's own API."""

    def __init__(
        self, client: Callable[[str], Any], account_id: str, announce: Callable[[Event], None]
    ) -> None:
        self._client = client
        self._account_id = account_id
        self._announce = announce

    def carry_out(self, work: Work) -> Outcome:
        """Make the calls. What fails is logged or part of the outcome: nothing is raised."""
        outcome = Outcome()
        self._ask_balancer(work, outcome)
        if work.terminate:
            self._terminate(work.terminate)
        for order in work.orders:
            outcome.launches[order.token] = self._launch(order, work)
        for arn, instance_ids in work.register.items():
            self._attempt("elbv2", "register_targets", TargetGroupArn=arn, Targets=_targets(instance_ids))
        for notice in work.notices:
            self._notify(work.group, notice)
        for event in work.events:
            self._announce(event)
        if work.stale_alarms:
            self._attempt("cloudwatch", "delete_alarms", AlarmNames=work.stale_alarms)
        return outcome

    def _ask_balancer(self, work: Work, outcome: Outcome) -> None:
        for arn, instance_ids in work.deregister.items():
            outcome.delays[arn] = self._deregister(arn, instance_ids)
        for arn, instance_ids in work.check_drain.items():
            outcome.still_draining |= self._draining(arn, instance_ids)
        for arn in work.check_health:
            health = self._health(arn)
            outcome.unhealthy_targets |= {each for each, state in health.items() if state == "unhealthy"}
            outcome.unready_targets |= {each for each, state in health.items() if state in _UNREADY}

    def _launch(self, order: LaunchOrder, work: Work) -> list[Launched] | Refused:
        try:
            version, data = self._template(order.template or work.template)
            answer = self._client("ec2").run_instances(
                **_placed(data, order.subnet.subnet_id),
                LaunchTemplate={
                    "LaunchTemplateId": version.template_id,
                    "Version": str(version.number),
                },
                MinCount=order.count,
                MaxCount=order.count,
                ClientToken=order.token,
                TagSpecifications=[
                    {
                        "ResourceType": "instance",
                        "Tags": [{"Key": key, "Value": value} for key, value in work.tags.items()],
                    }
                ],
            )
        except ClientError as error:
            said = error.response["Error"]
            return Refused(_sentence(said["Message"]), said["Code"] in _CAPACITY_CODES)
        return [
            Launched(
                instance_id=each["InstanceId"],
                zone=order.subnet.zone,
                subnet_id=order.subnet.subnet_id,
                instance_type=each["InstanceType"],
                image_id=each["ImageId"],
                template=version,
            )
            for each in answer["Instances"]
        ]

    def _template(self, template: TemplateReference) -> tuple[TemplateVersion, dict[str, Any]]:
        """Follow $Latest and $Default at each launch, as AWS does."""
        answer = self._client("ec2").describe_launch_template_versions(
            LaunchTemplateId=template.template_id, Versions=[template.version or "$Default"]
        )
        found = answer["LaunchTemplateVersions"][0]
        version = TemplateVersion(
            found["LaunchTemplateId"], found["LaunchTemplateName"], found["VersionNumber"]
        )
        return version, found["LaunchTemplateData"]

    def _terminate(self, instance_ids: list[str]) -> None:
        try:
            self._client("ec2").terminate_instances(InstanceIds=instance_ids)
        except ClientError as error:
            if error.response["Error"]["Code"] != "OperationNotPermitted":
                log.warning("could not terminate %s: %s", instance_ids, error)
                return
            # Protection from termination does not keep a group from its instances.
            for instance_id in instance_ids:
                unprotected = {"Value": False}
                self._attempt(
                    "ec2",
                    "modify_instance_attribute",
                    InstanceId=instance_id,
                    DisableApiTermination=unprotected,
                )
            self._attempt("ec2", "terminate_instances", InstanceIds=instance_ids)

    def _deregister(self, arn: str, instance_ids: list[str]) -> float:
        """Return the deregistration delay in seconds."""
        if self._attempt("elbv2", "deregister_targets", TargetGroupArn=arn, Targets=_targets(instance_ids)):
            answer = self._attempt("elbv2", "describe_target_group_attributes", TargetGroupArn=arn) or {}
            attributes = {each["Key"]: each["Value"] for each in answer.get("Attributes", ())}
            return float(attributes.get("deregistration_delay.timeout_seconds", 0))
        return 0.0

    def _draining(self, arn: str, instance_ids: list[str]) -> set[str]:
        health = self._health(arn, _targets(instance_ids))
        return {instance_id for instance_id, state in health.items() if state == "draining"}

    def _health(self, arn: str, targets: Sequence[dict[str, str]] = ()) -> dict[str, str]:
        options = {"Targets": targets} if targets else {}
        answer = self._attempt("elbv2", "describe_target_health", TargetGroupArn=arn, **options) or {}
        return {
            each["Target"]["Id"]: each["TargetHealth"]["State"]
            for each in answer.get("TargetHealthDescriptions", ())
        }

    def _notify(self, group: str, notice: Notice) -> None:
        action = notice.action
        message = {
            "Origin": "EC2",
            "LifecycleHookName": action.hook.name,
            "Destination": "AutoScalingGroup",
            "AccountId": self._account_id,
            "RequestId": action.token,
            "LifecycleTransition": action.hook.transition,
            "AutoScalingGroupName": group,
            "Service": "AWS Auto Scaling",
            "Time": moment(notice.at),
            "EC2InstanceId": notice.instance_id,
            "LifecycleActionToken": action.token,
        }
        if action.hook.metadata:
            message["NotificationMetadata"] = action.hook.metadata
        body = json.dumps(message)
        service, _, name = (action.hook.target_arn or "").partition("arn:aws:")[2].partition(":")
        if service == "sns":
            self._attempt("sns", "publish", TopicArn=action.hook.target_arn, Message=body)
        else:
            queue = self._attempt("sqs", "get_queue_url", QueueName=name.rpartition(":")[2])
            if queue:
                self._attempt("sqs", "send_message", QueueUrl=queue["QueueUrl"], MessageBody=body)

    def _attempt(self, service: str, operation: str, **parameters: Any) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = getattr(self._client(service), operation)(**parameters)
        except ClientError as error:
            log.warning("%s.%s failed: %s", service, operation, error)
            return None
        return answer


def _placed(data: dict[str, Any], subnet_id: str) -> dict[str, Any]:
    """Return where to launch: with interfaces in the template, they are what gets the subnet."""
    interfaces = data.get("NetworkInterfaces")
    if not interfaces:
        return {"SubnetId": subnet_id}
    return {"NetworkInterfaces": [{**each, "SubnetId": subnet_id} for each in interfaces]}


def _targets(instance_ids: Sequence[str]) -> list[dict[str, str]]:
    return [{"Id": instance_id} for instance_id in instance_ids]


def _sentence(message: str) -> str:
    return message if message.endswith(".") else f"{message}."
