# SPDX-License-Identifier: Apache-2.0
"""Say to CloudWatch each minute what load balancers did.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.balancing.nodes import Count, Traffic
from sandbox.balancing.state import group_full_name

NAMESPACE = "AWS/ApplicationELB"
PERIOD_S = 60.0
# What CloudWatch takes in one call.
_BATCH = 1000
_COUNTED = ("2XX", "3XX", "4XX", "5XX")


@dataclass(frozen=True, slots=True)
class GroupReport:
    """A target group in a minute: how many targets are well, and the requests they were given."""

    arn: str
    name: str
    healthy: int
    unhealthy: int


@dataclass(frozen=True, slots=True)
class Report:
    """A load balancer in a minute."""

    full_name: str
    traffic: Traffic
    groups: tuple[GroupReport, ...]


def data(reports: Iterable[Report], now: datetime) -> list[dict[str, Any]]:
    """Return the metric data of a minute. As on AWS, what did not happen is not reported."""
    listed = (each for report in reports for each in _of_balancer(report))
    return [{**each, "Timestamp": now} for each in listed]


def put(client: Any, listed: list[dict[str, Any]]) -> None:
    """Give metric data to CloudWatch."""
    for start in range(0, len(listed), _BATCH):
        client.put_metric_data(Namespace=NAMESPACE, MetricData=listed[start : start + _BATCH])


def _of_balancer(report: Report) -> Iterator[dict[str, Any]]:
    balancer = {"LoadBalancer": report.full_name}
    clients, targets = report.traffic.clients, Count()
    for count in report.traffic.groups.values():
        targets.add(count)
    yield from _count("RequestCount", clients.requests, balancer)
    for kind in _COUNTED:
        answered = targets.answers.get(kind.lower(), 0)
        yield from _count(f"HTTPCode_Target_{kind}_Count", answered, balancer)
        # What no target answered, the balancer did.
        own = max(clients.answers.get(kind.lower(), 0) - answered, 0)
        if kind != "2XX":
            yield from _count(f"HTTPCode_ELB_{kind}_Count", own, balancer)
    for group in report.groups:
        traffic = report.traffic.groups.get(group.name, Count())
        yield from _of_group(group, traffic, balancer)


def _of_group(group: GroupReport, count: Count, balancer: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    own = {"TargetGroup": group_full_name(group.arn)}
    both = {**own, **balancer}
    yield _datum("HealthyHostCount", group.healthy, both)
    yield _datum("UnHealthyHostCount", group.unhealthy, both)
    yield from _count("RequestCount", count.requests, both)
    for kind in _COUNTED:
        yield from _count(f"HTTPCode_Target_{kind}_Count", count.answers.get(kind.lower(), 0), both)
    if count.requests and group.healthy:
        for dimensions in (own, both):
            yield _datum("RequestCountPerTarget", count.requests / group.healthy, dimensions)


def _count(name: str, number: int, dimensions: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    if number:
        yield _datum(name, number, dimensions)


def _datum(name: str, value: float, dimensions: Mapping[str, str]) -> dict[str, Any]:
    listed = [{"Name": key, "Value": text} for key, text in dimensions.items()]
    return {"MetricName": name, "Value": float(value), "Unit": "Count", "Dimensions": listed}
