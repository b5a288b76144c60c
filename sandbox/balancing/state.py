# SPDX-License-Identifier: Apache-2.0
"""Read load balancers out of moto's state. Pure: what instances and certificates are is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.balancing.attributes import is_on
from sandbox.balancing.shape import (
    Action,
    Balancer,
    Certificate,
    Condition,
    FixedResponse,
    Forward,
    HealthCheck,
    Listener,
    Redirect,
    Rule,
    Target,
    TargetGroup,
)

TRAFFIC_PORT = "traffic-port"
_DEFAULT_STATUS = {"HTTP_301": 301, "HTTP_302": 302}
_CONFIGS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What a load balancer needs to know of an instance."""

    state: str
    address: str
    zone: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What other services know: instances by id, certificates by ARN."""

    machines: Mapping[str, Machine]
    certificates: Mapping[str, Certificate]


def full_name(arn: str) -> str:
    """Return app/<name>/<id> of a balancer, as metrics and interfaces name it."""
    return arn.partition(":loadbalancer/")[2]


def group_full_name(arn: str) -> str:
    """Return targetgroup/<name>/<id>, as metrics name it."""
    return arn.rpartition(":")[2]


def balancer(backend: Any, record: Any, facts: Facts) -> Balancer:
    """Return a balancer with the target groups that its rules forward to."""
    listeners = tuple(
        _listener(each, facts) for each in sorted(record.listeners.values(), key=lambda each: int(each.port))
    )
    used = sorted({arn for listener in listeners for arn in _forwarded(listener.rules)})
    zones = {subnet.availability_zone for subnet in record.subnets}
    groups = (
        target_group(backend.target_groups[arn], facts, zones=zones)
        for arn in used
        if arn in backend.target_groups
    )
    return Balancer(record.arn, full_name(record.arn), dict(record.attrs), listeners, tuple(groups))


def target_group(record: Any, facts: Facts, *, zones: Iterable[str]) -> TargetGroup:
    """Return a target group with the targets that can be given requests."""
    allowed = set(zones)
    targets = (_target(each, facts, allowed) for each in record.targets.values())
    attributes = record.attributes
    sticks = is_on(attributes, "stickiness.enabled")
    return TargetGroup(
        arn=record.arn,
        name=f"{record.name}",
        protocol=record.protocol,
        health_check=health_check(record),
        targets=tuple(sorted((each for each in targets if each), key=lambda each: each.name)),
        algorithm=attributes["load_balancing.algorithm.type"],
        slow_start_s=int(attributes["slow_start.duration_seconds"]),
        cookie_s=int(attributes["stickiness.lb_cookie.duration_seconds"]) if sticks else None,
    )


def health_check(record: Any) -> HealthCheck:
    """Return how a target group checks its targets."""
    port = str(record.health_check_port)
    return HealthCheck(
        protocol=record.health_check_protocol,
        path=record.health_check_path or "/",
        port=None if port == TRAFFIC_PORT else int(port),
        codes=str(record.matcher["HttpCode"]),
        interval_s=int(record.health_check_interval_seconds),
        timeout_s=int(record.health_check_timeout_seconds),
        healthy_threshold=int(record.healthy_threshold_count),
        unhealthy_threshold=int(record.unhealthy_threshold_count),
    )


def used_groups(record: Any) -> set[str]:
    """Return the ARNs of the target groups that a moto balancer's rules forward to."""
    return {arn for listener in record.listeners.values() for arn in _forwarded(_rules(listener))}


def _target(registered: Mapping[str, Any], facts: Facts, zones: set[str]) -> Target | None:
    target_id, port, serial = registered["Id"], int(registered["Port"]), registered["Serial"]
    if not target_id.startswith("i-"):
        return Target(target_id, port, target_id, serial=serial)
    machine = facts.machines.get(target_id)
    if machine is None or machine.state != "running" or machine.zone not in zones:
        return None
    return Target(target_id, port, machine.address, target_id, serial)


def _listener(record: Any, facts: Facts) -> Listener:
    found = (facts.certificates.get(arn) for arn in record.certificates)
    return Listener(
        port=int(record.port),
        protocol=record.protocol,
        rules=tuple(_rules(record)),
        ssl_policy=record.ssl_policy or "",
        certificates=tuple(each for each in found if each is not None),
        attributes=dict(record.attributes),
    )


def _rules(record: Any) -> Iterator[Rule]:
    others = [rule for rule in record.rules.values() if not rule.is_default]
    for rule in sorted(others, key=lambda rule: int(rule.priority)):
        conditions = tuple(_condition(each) for each in rule.conditions)
        yield Rule(f"rule-{int(rule.priority)}", conditions, _action(rule.actions))
    yield Rule("default", (), _action(record.default_actions))


def _condition(given: Mapping[str, Any]) -> Condition:
    field = given["Field"]
    config = given.get(_CONFIGS[field], {})
    values = config.get("Values") or given.get("Values") or []
    if field == "query-string":
        values = [f"{pair.get('Key') or '*'}={pair['Value']}" for pair in values]
    return Condition(field, tuple(values), config.get("HttpHeaderName", ""))


def _action(actions: Iterable[Any]) -> Action:
    data = next(iter(actions)).data
    if data["Type"] == "redirect":
        config = dict(data["RedirectConfig"])
        code = _DEFAULT_STATUS[config.pop("StatusCode")]
        return Redirect(code, **{name.lower(): str(value) for name, value in config.items()})
    if data["Type"] == "fixed-response":
        config = data["FixedResponseConfig"]
        content_type = config.get("ContentType") or "text/plain"
        return FixedResponse(int(config["StatusCode"]), content_type, config.get("MessageBody") or "")
    groups = data.get("ForwardConfig", {}).get("TargetGroups")
    if not groups:
        groups = [{"TargetGroupArn": data["TargetGroupArn"]}]
    return Forward(tuple((each["TargetGroupArn"], int(each.get("Weight", 1))) for each in groups))


def _forwarded(rules: Iterable[Rule]) -> Iterator[str]:
    for rule in rules:
        if isinstance(rule.action, Forward):
            yield from (arn for arn, _ in rule.action.groups)
