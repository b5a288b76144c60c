# SPDX-License-Identifier: Apache-2.0
"""Correct moto's load balancers where they would say what is not so, or drop what was asked.

Each correction runs inside moto, with the lock of elbv2 held, and only changes what is written down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2 import exceptions
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer
from moto.elbv2.responses import ELBV2Response
from moto.moto_api._internal import mock_random
from moto.servicequotas.models import servicequotas_backends

from sandbox.api import service_quotas
from sandbox.api.errors import AwsError, unsupported
from sandbox.api.patches import Patches
from sandbox.balancing import attributes
from sandbox.balancing.actions import refresh

_NAME = re.compile(r"(?!internal-)[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_ZONES = 2
# The zone of us-east-1: https://docs.aws.amazon.com/general/latest/gr/elb.html
_HOSTED_ZONE = "Z35SXDOTRQ7X7K"

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html
_LIMITS = {
    "application-load-balancers": "50",
    "certificates-per-application-load-balancer": "25",
    "condition-values-per-alb-rule": "5",
    "condition-wildcards-per-alb-rule": "6",
    "listeners-per-application-load-balancer": "50",
    "listeners-per-network-load-balancer": "50",
    "network-load-balancers": "50",
    "rules-per-application-load-balancer": "100",
    "target-groups": "3000",
    "target-groups-per-action-on-application-load-balancer": "5",
    "target-groups-per-application-load-balancer": "100",
    "targets-per-availability-zone-per-network-load-balancer": "500",
}


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    own = {
        "create_load_balancer": _create_load_balancer,
        "delete_load_balancer": _delete_load_balancer,
        "describe_load_balancers": _describe_load_balancers,
        "modify_load_balancer_attributes": _modify_load_balancer_attributes,
        "set_subnets": _set_subnets,
    }
    for name, make in own.items():
        patches.replace(ELBv2Backend, name, make(getattr(ELBv2Backend, name)))
    patches.replace(ELBV2Response, "describe_account_limits", _describe_account_limits)
    # moto calls a balancer active as soon as somebody looks; here its nodes decide.
    patches.replace(FakeLoadBalancer, "activate", lambda record: None)


def _describe_account_limits(response: Any) -> ActionResult:
    """Answer with the limits of a new account, but for those that were raised; none of them is enforced."""
    backend = servicequotas_backends[response.current_account][response.region]
    limits = _LIMITS | service_quotas.target_limits(backend)
    return ActionResult({"Limits": [{"Name": name, "Max": limits[name]} for name in sorted(limits)]})


def _create_load_balancer(original: Callable[..., Any]) -> Callable[..., Any]:
    def create(
        backend: Any, name: str, security_groups: Any, subnet_ids: Any, **options: Any
    ) -> FakeLoadBalancer:
        """Refuse what AWS refuses, and fill in what AWS fills in."""
        if options.get("loadbalancer_type") not in (None, "application"):
            raise unsupported(f"elbv2.CreateLoadBalancer with Type = {options['loadbalancer_type']}")
        if options.get("ip_address_type", "ipv4") != "ipv4":
            raise unsupported(f"elbv2.CreateLoadBalancer with IpAddressType = {options['ip_address_type']}")
        if not _NAME.fullmatch(name):
            raise AwsError("ValidationError", f"The load balancer name '{name}' is not valid")
        if any(record.name == name for record in backend.load_balancers.values()):
            raise exceptions.DuplicateLoadBalancerName()
        subnets = _subnets(backend, subnet_ids, options.pop("subnet_mappings", None))
        vpc_id = subnets[0].vpc_id
        groups = security_groups or [backend.ec2_backend.get_default_security_group(vpc_id).id]
        _check_groups(backend, groups, vpc_id)
        scheme = options.pop("scheme", None) or "internet-facing"
        ids = [subnet.id for subnet in subnets]
        record: FakeLoadBalancer = original(backend, name, groups, ids, scheme=scheme, **options)
        record.attrs = attributes.defaults(attributes.BALANCER)
        record.dns_name = _dns_name(record, backend.region_name)
        record.canonical_hosted_zone_id = _HOSTED_ZONE
        return record

    return create


def _dns_name(record: FakeLoadBalancer, region: str) -> str:
    prefix = "internal-" if record.scheme == "internal" else ""
    number = int(mock_random.get_random_hex(8), 16)
    return f"{prefix}{record.name}-{number}.{region}.elb.amazonaws.com"


def _subnets(backend: Any, subnet_ids: Iterable[str], mappings: Iterable[Mapping[str, Any]] | None) -> Any:
    for mapping in mappings or ():
        if others := sorted(set(mapping) - {"SubnetId"}):
            raise unsupported(f"elbv2.CreateLoadBalancer with SubnetMappings.{others[0]}")
    ids = [*subnet_ids, *(mapping["SubnetId"] for mapping in mappings or ())]
    subnets = [_subnet(backend, subnet_id) for subnet_id in ids]
    zones = {subnet.availability_zone for subnet in subnets}
    if len(zones) < _ZONES:
        raise AwsError("ValidationError", "At least two subnets in two different Availability Zones must be"
                       " specified")  # fmt: skip
    if len(zones) < len(subnets):
        raise AwsError("InvalidConfigurationRequest", "A load balancer cannot be attached to multiple subnets"
                       " in the same Availability Zone")  # fmt: skip
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        raise AwsError("InvalidConfigurationRequest", "The subnets must belong to the same VPC")
    return subnets


def _subnet(backend: Any, subnet_id: str) -> Any:
    for zone in backend.ec2_backend.subnets.values():
        if subnet_id in zone:
            return zone[subnet_id]
    raise AwsError("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist")


def _check_groups(backend: Any, group_ids: Iterable[str], vpc_id: str) -> None:
    for group_id in group_ids:
        group = backend.ec2_backend.get_security_group_from_id(group_id)
        if group is None or group.vpc_id != vpc_id:
            raise AwsError("InvalidSecurityGroup", f"One or more security groups are invalid: {group_id}")


def _delete_load_balancer(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete(backend: Any, arn: str) -> None:
        """Keep a protected one. The interfaces go soon after, as on AWS."""
        record = backend.load_balancers.get(arn)
        if record is not None and attributes.is_on(record.attrs, "deletion_protection.enabled"):
            message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
            raise AwsError("OperationNotPermitted", message)
        original(backend, arn)
        refresh(backend)

    return delete


def _describe_load_balancers(original: Callable[..., Any]) -> Callable[..., Any]:
    def describe(backend: Any, arns: Any, names: Any) -> list[Any]:
        """Miss each one that is not there; moto gives the one before it instead."""
        every = list(backend.load_balancers.values())
        for value, attribute in [(arn, "arn") for arn in arns or ()] + [(n, "name") for n in names or ()]:
            if not any(getattr(record, attribute) == value for record in every):
                raise AwsError("LoadBalancerNotFound", f"One or more load balancers not found: {value}")
        return list(original(backend, arns, names))

    return describe


def _modify_load_balancer_attributes(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify(backend: Any, arn: str, given: dict[str, str]) -> dict[str, str]:
        """Take what is acted upon."""
        attributes.check(attributes.BALANCER, given, operation="ModifyLoadBalancerAttributes")
        record = backend.load_balancers.get(arn)
        after = {**(record.attrs if record else {}), **given}
        if attributes.is_on(after, "access_logs.s3.enabled") and not after.get("access_logs.s3.bucket"):
            raise AwsError("InvalidConfigurationRequest", "The access log S3 bucket must be specified")
        return dict(original(backend, arn, given))

    return modify


def _set_subnets(original: Callable[..., Any]) -> Callable[..., Any]:
    def set_subnets(backend: Any, arn: str, subnets: Any, subnet_mappings: Any) -> Any:
        """Check the subnets as at creation."""
        record = backend.load_balancers.get(arn)
        if record is None:
            raise exceptions.LoadBalancerNotFoundError()
        found = _subnets(backend, subnets, subnet_mappings)
        if found[0].vpc_id != record.vpc_id:
            raise AwsError("InvalidConfigurationRequest", "The subnets must belong to the balancer's VPC")
        return original(backend, arn, [subnet.id for subnet in found], [])

    return set_subnets
