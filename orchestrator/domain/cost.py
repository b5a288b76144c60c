# SPDX-License-Identifier: Apache-2.0
"""What stacks cost a month at least: what stands there whether it is used or not. Pure.

Fleets count with their lower limit, Aurora Serverless with its least capacity. What is paid by use is named,
not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from orchestrator.domain.stack import Body

_ZERO = Decimal(0)
_CENT = Decimal("0.01")
_ENDPOINT = "AWS::EC2::VPCEndpoint"
SERVERLESS = "db.serverless"


@dataclass(frozen=True, slots=True)
class Prices:
    """The price table. Hourly: NAT, endpoints, balancer, addresses, capacity units, instances, members."""

    date: str
    region: str
    sources: tuple[str, ...]
    hours_per_month: Decimal
    nat_gateway: Decimal
    interface_endpoint_per_zone: Decimal
    load_balancer: Decimal
    public_ipv4: Decimal
    aurora_capacity_unit: Decimal
    gp3_gib: Decimal
    kms_key: Decimal
    secret: Decimal
    web_acl: Decimal
    web_acl_rule: Decimal
    alarm: Decimal
    instances: Mapping[str, Decimal]
    database_classes: Mapping[str, Decimal]
    usage: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Dollars a month, what use adds to them, and what the table has no price of."""

    monthly: Decimal = _ZERO
    not_counted: frozenset[str] = field(default_factory=frozenset)
    unknown: frozenset[str] = field(default_factory=frozenset)

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.monthly + other.monthly, self.not_counted | other.not_counted, self.unknown | other.unknown
        )


def estimate(name: str, bodies: Mapping[str, Body], prices: Prices) -> Estimate:
    """Return what a stack costs; `bodies` has its template and those of the stacks it reads outputs of."""
    total = Estimate()
    site = _Site(bodies[name], bodies, prices)
    for resource in bodies[name].get("Resources", {}).values():
        total += _of_resource(site, resource)
    return Estimate(total.monthly.quantize(_CENT), total.not_counted, total.unknown)


@dataclass
class _Site:
    """A template, and the others that its values come from."""

    body: Body
    bodies: Mapping[str, Body]
    prices: Prices

    def hours(self, hourly: Decimal) -> Decimal:
        return hourly * self.prices.hours_per_month

    def value(self, value: Any) -> Any:
        """Return a value as far as templates alone tell it; what they don't tell stays as it is."""
        if not isinstance(value, Mapping) or len(value) != 1:
            return value
        ((function, argument),) = value.items()
        resolve = _FUNCTIONS.get(function)
        return resolve(self, argument) if resolve else value

    def count(self, value: Any) -> int | None:
        """Return how many items a list has, None when templates don't tell."""
        found = self.value(value)
        return len(found) if isinstance(found, list) else None

    def resource(self, value: Any) -> Mapping[str, Any]:
        """Return the properties of the resource that a value refers to."""
        name = ""
        if isinstance(value, Mapping):
            name = value.get("Ref") or (value.get("Fn::GetAtt") or [""])[0]
        properties: Mapping[str, Any] = self.body["Resources"].get(name, {}).get("Properties", {})
        return properties


def _split(site: _Site, argument: Any) -> Any:
    separator, text = argument
    joined = site.value(text)
    if isinstance(joined, _Joined) and joined.separator == separator:
        return joined.items
    return joined.split(separator) if isinstance(joined, str) else {"Fn::Split": argument}


@dataclass(frozen=True, slots=True)
class _Joined:
    """Items that are not known, but how many they are."""

    separator: str
    items: list[Any]


def _join(site: _Site, argument: Any) -> Any:
    separator, items = argument
    found = site.value(items)
    if isinstance(found, list) and len(found) == 1:
        return site.value(found[0])
    return _Joined(separator, found) if isinstance(found, list) else {"Fn::Join": argument}


def _output(site: _Site, argument: Any) -> Any:
    other = site.bodies.get(argument.get("StackName", ""), {})
    output = other.get("Outputs", {}).get(argument.get("OutputName", ""))
    if output is None:
        return {"Fn::GetStackOutput": argument}
    return _Site(other, site.bodies, site.prices).value(output["Value"])


_FUNCTIONS: Mapping[str, Callable[[_Site, Any], Any]] = {
    "Fn::Split": _split,
    "Fn::Join": _join,
    "Fn::GetStackOutput": _output,
}

Properties = Mapping[str, Any]


def _of_resource(site: _Site, resource: Mapping[str, Any]) -> Estimate:
    type_name = resource["Type"]
    properties = resource.get("Properties", {})
    used = site.prices.usage.get(type_name)
    usage = Estimate(not_counted=frozenset({used} if used and not _is_free(type_name, properties) else ()))
    price = _PRICED.get(type_name)
    return usage + price(site, properties) if price else usage


def _unknown(what: str) -> Estimate:
    return Estimate(unknown=frozenset({what}))


def _nat_gateway(site: _Site, _: Properties) -> Estimate:
    return Estimate(site.hours(site.prices.nat_gateway))


def _address(site: _Site, _: Properties) -> Estimate:
    return Estimate(site.hours(site.prices.public_ipv4))


def _is_free(type_name: str, properties: Properties) -> bool:
    """Tell whether a resource costs nothing though others of its type do: endpoints that are gateways."""
    return type_name == _ENDPOINT and properties.get("VpcEndpointType", "Gateway") != "Interface"


def _endpoint(site: _Site, properties: Properties) -> Estimate:
    if _is_free(_ENDPOINT, properties):
        return Estimate()
    zones = site.count(properties.get("SubnetIds", []))
    if zones is None:
        return _unknown("an interface endpoint in subnets that are not known yet")
    return Estimate(site.hours(site.prices.interface_endpoint_per_zone) * zones)


def _load_balancer(site: _Site, properties: Properties) -> Estimate:
    base = Estimate(site.hours(site.prices.load_balancer))
    if properties.get("Scheme", "internet-facing") != "internet-facing":
        return base
    zones = site.count(properties.get("Subnets", properties.get("SubnetMappings", [])))
    if zones is None:
        return base + _unknown("the balancer's public addresses, in subnets that are not known yet")
    return base + Estimate(site.hours(site.prices.public_ipv4) * zones)


def _fleet(site: _Site, properties: Properties) -> Estimate:
    launch = site.resource(properties.get("LaunchTemplate", {}).get("LaunchTemplateId"))
    data = launch.get("LaunchTemplateData", {})
    hourly = site.prices.instances.get(str(data.get("InstanceType")))
    if hourly is None:
        return _unknown(f"machines of type {data.get('InstanceType')}")
    if any(each.get("AssociatePublicIpAddress") for each in data.get("NetworkInterfaces", ())):
        hourly += site.prices.public_ipv4
    disks = (each.get("Ebs", {}) for each in data.get("BlockDeviceMappings", ()))
    gib = sum(int(disk.get("VolumeSize", 0)) for disk in disks)
    each = site.hours(hourly) + gib * site.prices.gp3_gib
    return Estimate(each * int(properties["MinSize"]))


def _database_member(site: _Site, properties: Properties) -> Estimate:
    db_class = str(properties.get("DBInstanceClass"))
    if db_class == SERVERLESS:
        cluster = site.resource(properties.get("DBClusterIdentifier"))
        capacity = cluster.get("ServerlessV2ScalingConfiguration", {}).get("MinCapacity", 0)
        return Estimate(site.hours(site.prices.aurora_capacity_unit) * Decimal(str(capacity)))
    hourly = site.prices.database_classes.get(db_class)
    return Estimate(site.hours(hourly)) if hourly is not None else _unknown(f"database members of {db_class}")


def _database_cluster(site: _Site, properties: Properties) -> Estimate:
    # RDS keeps the master password in a secret of its own, which costs as any other.
    has_secret = properties.get("ManageMasterUserPassword") is True
    return Estimate(site.prices.secret) if has_secret else Estimate()


def _web_acl(site: _Site, properties: Properties) -> Estimate:
    return Estimate(site.prices.web_acl + site.prices.web_acl_rule * len(properties.get("Rules", ())))


def _each(price: Callable[[Prices], Decimal]) -> Callable[[_Site, Properties], Estimate]:
    return lambda site, _: Estimate(price(site.prices))


_PRICED: Mapping[str, Callable[[_Site, Properties], Estimate]] = {
    "AWS::AutoScaling::AutoScalingGroup": _fleet,
    "AWS::CloudWatch::Alarm": _each(lambda prices: prices.alarm),
    "AWS::EC2::EIP": _address,
    "AWS::EC2::NatGateway": _nat_gateway,
    _ENDPOINT: _endpoint,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _load_balancer,
    "AWS::KMS::Key": _each(lambda prices: prices.kms_key),
    "AWS::RDS::DBCluster": _database_cluster,
    "AWS::RDS::DBInstance": _database_member,
    "AWS::SecretsManager::Secret": _each(lambda prices: prices.secret),
    "AWS::WAFv2::WebACL": _web_acl,
}
