# SPDX-License-Identifier: Apache-2.0
"""Correct moto's target groups: a target is an id and a port, drains before it goes, and is as it is seen."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore import xform_name
from moto.core.responses import EmptyResult
from moto.elbv2 import exceptions
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response

from sandbox import handover
from sandbox.api.errors import AwsError, unsupported
from sandbox.api.patches import Patches
from sandbox.api.siblings import Untracked
from sandbox.balancing import attributes
from sandbox.balancing.health import DRAINING, NOT_REGISTERED, TargetState, Verdict
from sandbox.balancing.shape import target_name

# Tells of a registered target: (target group, target) -> verdict.
Judge = Callable[[Any, Mapping[str, Any]], Verdict]
Clock = Callable[[], datetime]

_PROTOCOLS = ("HTTP", "HTTPS")
_TARGET_TYPES = ("instance", "ip")


class TargetCorrections:
    """The corrections. `judge` is asked with the lock of elbv2 held, and takes no other."""

    def __init__(self, *, now: Clock, judge: Judge) -> None:
        self._now = now
        self._judge = judge

    def install(self, patches: Patches) -> None:
        """Put the corrections in place."""
        own = {
            "create_target_group": _create,
            "modify_target_group": _modify,
            "modify_target_group_attributes": _modify_attributes,
        }
        for name, make in own.items():
            patches.replace(ELBv2Backend, name, make(getattr(ELBv2Backend, name)))
        patches.replace(ELBv2Backend, "register_targets", self._register_targets)
        patches.replace(ELBv2Backend, "deregister_targets", self._deregister_targets)
        patches.replace(ELBv2Backend, "describe_target_health", self._describe_target_health)
        for operation in ("RegisterTargets", "DeregisterTargets", "DescribeTargetHealth"):
            name = xform_name(operation)
            answer = handover.taking(operation, getattr(ELBV2Response, name))
            patches.replace(ELBV2Response, name, answer)
        told = _telling_of_health(ELBV2Response.describe_target_health)
        patches.replace(ELBV2Response, "describe_target_health", told)
        patches.replace(FakeHealthStatus, "instances_tracked", Untracked())
        # moto's EC2 does not call it, and what is terminated drains like the rest.
        patches.replace(ELBv2Backend, "notify_terminate_instances", lambda backend, instance_ids: None)

    @property
    def _register_targets(self) -> Callable[..., None]:
        def register(backend: Any, target_group_arn: str, instances: Any) -> None:
            group = _group(backend, target_group_arn)
            for target in instances:
                _check_target(backend, group, target)
            for target in instances:
                key, entry = _entry(group, target)
                group.deregistered_targets.pop(key, None)
                if key not in group.targets:
                    group.registrations = getattr(group, "registrations", 0) + 1
                    group.targets[key] = {**entry, "Serial": group.registrations}

        return register

    @property
    def _deregister_targets(self) -> Callable[..., None]:
        def deregister(backend: Any, target_group_arn: str, instances: Any) -> None:
            group = _group(backend, target_group_arn)
            keys: dict[str, list[str]] = {}
            for key, entry in group.targets.items():
                keys.setdefault(entry["Id"], []).append(key)
            for target in instances:
                for key in keys.get(target["Id"], ()):
                    entry = group.targets.get(key)
                    if entry is not None and target.get("Port") in (None, entry["Port"]):
                        drain(group, key, now=self._now())

        return deregister

    @property
    def _describe_target_health(self) -> Callable[..., list[FakeHealthStatus]]:
        def describe(backend: Any, target_group_arn: str, targets: Any) -> list[FakeHealthStatus]:
            group = _group(backend, target_group_arn)
            now = self._now()
            draining = {key: each for key, each in group.deregistered_targets.items() if each["Until"] > now}
            asked = [_entry(group, target) for target in targets or ()]
            if not asked:
                asked = [*group.targets.items(), *draining.items()]
            return [self._health(group, key, entry) for key, entry in asked]

        return describe

    def _health(self, group: Any, key: str, entry: Mapping[str, Any]) -> FakeHealthStatus:
        now = self._now()
        if key in group.targets:
            verdict = self._judge(group, group.targets[key])
        elif key in group.deregistered_targets and group.deregistered_targets[key]["Until"] > now:
            verdict = Verdict(TargetState.DRAINING, now, *DRAINING)
        else:
            verdict = Verdict(TargetState.UNUSED, now, *NOT_REGISTERED)
        check_port = str(group.health_check_port)
        if not check_port.isdigit():
            check_port = str(entry["Port"])
        return FakeHealthStatus(
            entry["Id"], entry["Port"], check_port, verdict.state, verdict.reason, verdict.description
        )


def _telling_of_health(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def describe_target_health(response: Any) -> Any:
        """Tell the region itself beside the words: a group may have thousands of targets."""
        result = original(response)
        beside = handover.current()
        if beside is None:
            return result
        beside.told = {
            "TargetHealthDescriptions": [
                {
                    "Target": {"Id": each.instance_id, "Port": each.port},
                    "TargetHealth": {key: said for key, said in each.target_health.items() if said},
                }
                for each in result.result["TargetHealthDescriptions"]
            ]
        }
        return EmptyResult()

    return describe_target_health


def drain(group: Any, key: str, *, now: datetime) -> None:
    """Give a target no more requests; it is gone when its time is over, or at once if nobody sends any.

    Gone means that its last connections are cut, by whoever calls `finish`.
    """
    entry = group.targets.pop(key)
    delay_s = int(group.attributes["deregistration_delay.timeout_seconds"])
    if group.load_balancer_arns:
        group.deregistered_targets[key] = {**entry, "Until": now + timedelta(seconds=delay_s)}


def finish(group: Any, *, now: datetime) -> list[str]:
    """Forget the targets whose time to drain is over, and return their names."""
    over = {key: entry for key, entry in group.deregistered_targets.items() if entry["Until"] <= now}
    for key in over:
        del group.deregistered_targets[key]
    return [target_name(entry["Id"], entry["Port"], entry["Serial"]) for entry in over.values()]


def _group(backend: Any, arn: str) -> Any:
    group = backend.target_groups.get(arn)
    if group is None:
        raise exceptions.TargetGroupNotFoundError()
    return group


def _entry(group: Any, target: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    port = int(target.get("Port") or group.port)
    return f"{target['Id']}_{port}", {"Id": target["Id"], "Port": port}


def _check_target(backend: Any, group: Any, target: Mapping[str, Any]) -> None:
    if target.get("AvailabilityZone"):
        raise unsupported("elbv2.RegisterTargets with Targets.AvailabilityZone")
    target_id = target["Id"]
    if group.target_type == "ip":
        try:
            ipaddress.IPv4Address(target_id)
        except ValueError as error:
            message = f"The IP address '{target_id}' is not a valid IPv4 address"
            raise AwsError("ValidationError", message) from error
        return
    instance = backend.ec2_backend.get_instance_by_id(target_id)
    if instance is None or not instance.nics:
        raise AwsError("InvalidTarget", f"Instance ID '{target_id}' is not valid")
    if instance.state != "running":
        message = f"The following targets are not in a running state and cannot be registered: '{target_id}'"
        raise AwsError("InvalidTarget", message)
    if instance.nics[0].subnet.vpc_id != group.vpc_id:
        message = f"The following targets are not in the target group VPC '{group.vpc_id}': '{target_id}'"
        raise AwsError("InvalidTarget", message)


def _create(original: Callable[..., Any]) -> Callable[..., Any]:
    def create(backend: Any, name: str, **options: Any) -> FakeTargetGroup:
        """Refuse by name what application load balancers here can't do."""
        for key, allowed in (
            ("target_type", _TARGET_TYPES),
            ("protocol", _PROTOCOLS),
            ("protocol_version", (None, "HTTP1")),
            ("healthcheck_protocol", (None, *_PROTOCOLS)),
            ("ip_address_type", (None, "ipv4")),
        ):
            if options.get(key) not in allowed:
                raise unsupported(f"elbv2.CreateTargetGroup with {key} = {options.get(key)}")
        if str(options.get("healthcheck_enabled", "true")).lower() == "false":
            raise AwsError(
                "ValidationError", "Health check enabled must be true for target groups of this type"
            )
        if "GrpcCode" in (options.get("matcher") or {}):
            raise unsupported("elbv2.CreateTargetGroup with Matcher.GrpcCode")
        group: FakeTargetGroup = original(backend, name, **options)
        group.port = int(group.port)  # type: ignore[assignment]
        group.attributes = {**attributes.defaults(attributes.TARGET_GROUP)}
        return group

    return create


def _modify(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify(backend: Any, arn: str, *arguments: Any, **options: Any) -> FakeTargetGroup:
        """Keep the timeout within the interval."""
        group = _group(backend, arn)
        _, _, _, interval, timeout = (*arguments, *[None] * 5)[:5]
        interval_s = int(interval or group.health_check_interval_seconds)
        if int(timeout or group.health_check_timeout_seconds) >= interval_s:
            raise AwsError("ValidationError", "Health check timeout must be smaller than the interval")
        if str(options.get("health_check_enabled", "true")).lower() == "false":
            raise AwsError(
                "ValidationError", "Health check enabled must be true for target groups of this type"
            )
        changed: FakeTargetGroup = original(backend, arn, *arguments, **options)
        changed.health_check_enabled = True
        return changed

    return modify


def _modify_attributes(original: Callable[..., Any]) -> Callable[..., Any]:
    del original

    def modify(backend: Any, target_group_arn: str, attributes_given: dict[str, str]) -> None:
        """Take what is acted upon, and answer with all attributes: the caller shows the dict it gave."""
        group = _group(backend, target_group_arn)
        attributes.check(attributes.TARGET_GROUP, attributes_given, operation="ModifyTargetGroupAttributes")
        group.attributes.update(attributes_given)
        attributes_given.update(group.attributes)

    return modify
