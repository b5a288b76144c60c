# SPDX-License-Identifier: Apache-2.0
"""Service Quotas: vCPUs of on-demand instances, one quota for each family of types, and targets.

A new account's defaults are AWS's own. The account of the region has been granted more vCPUs, as one that has
run for a while, and whatever increase it requests, at once. Nothing is enforced: no launch runs into a quota.

https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.core.utils import utcnow
from moto.servicequotas.models import servicequotas_backends
from moto.servicequotas.responses import ServiceQuotasResponse

from sandbox.api import own_operations
from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records
from sandbox.api.patches import Patches

NAMESPACE, METRIC = "AWS/Usage", "ResourceCount"
# What the account was granted before the region began.
GRANTED = 256.0
_NAMES = {
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "elasticloadbalancing": "Elastic Load Balancing (ELB)",
}


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota. `granted` is what the account had when the region began.

    Attributes:
        prefixes: Letters that the names of the instance types begin with that count to it.
        metric_class: The class of the metric of its use; empty if its use is not measured.
        limit: How Elastic Load Balancing calls it.
    """

    service: str
    code: str
    name: str
    default: float = 0.0
    granted: float = 0.0
    prefixes: tuple[str, ...] = ()
    metric_class: str = ""
    limit: str = ""

    @property
    def dimensions(self) -> dict[str, str]:
        """Return the dimensions of the metric of its use."""
        return {
            "Service": "EC2",
            "Type": "Resource",
            "Resource": "vCPU",
            "Class": f"{self.metric_class}/OnDemand",
        }


def _vcpus(
    code: str, family: str, metric_class: str, *prefixes: str, default: float = 0.0, granted: float = 0.0
) -> Quota:
    name = f"Running On-Demand {family} instances"
    return Quota("ec2", code, name, default, granted, prefixes, metric_class)


def _targets(code: str, name: str, limit: str, most: float) -> Quota:
    return Quota("elasticloadbalancing", code, name, most, most, limit=limit)


_STANDARD = ("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z")
FAMILIES = (
    _vcpus(
        "L-1216C47A",
        "Standard (A, C, D, H, I, M, R, T, Z)",
        "Standard",
        *_STANDARD,
        default=5.0,
        granted=GRANTED,
    ),
    _vcpus("L-6E869C2A", "DL", "DL", "dl"),
    _vcpus("L-74FC7D96", "F", "F", "f"),
    _vcpus("L-DB2E81BA", "G and VT", "G", "g", "gr", "vt"),
    _vcpus("L-F7808C92", "HPC", "HPC", "hpc"),
    _vcpus("L-43DA4232", "High Memory", "HighMemory", "u"),
    _vcpus("L-1945791B", "Inf", "Inf", "inf"),
    _vcpus("L-417A185B", "P", "P", "p"),
    _vcpus("L-2C3B7624", "Trn", "Trn", "trn"),
    _vcpus("L-7295265B", "X", "X", "x"),
)
TARGETS = (
    _targets("L-A0D0B863", "Targets per Target Group per Region", "targets-per-target-group", 1000.0),
    _targets(
        "L-7E6692B2",
        "Targets per Application Load Balancer",
        "targets-per-application-load-balancer",
        1000.0,
    ),
    _targets("L-EEF1AD04", "Targets per Network Load Balancer", "targets-per-network-load-balancer", 3000.0),
)
QUOTAS = (*FAMILIES, *TARGETS)
_BY_PREFIX = {prefix: family for family in FAMILIES for prefix in family.prefixes}
_PREFIX = re.compile(r"[a-z]+")


def family_of(instance_type: str) -> Quota | None:
    """Return the family of an instance type, None for one that has no such quota, as bare metal Macs."""
    found = _PREFIX.match(instance_type)
    return _BY_PREFIX.get(found.group()) if found else None


def usage(vcpus: Iterable[tuple[str, int]], now: datetime) -> list[dict[str, Any]]:
    """Return the metrics of what runs, as PutMetricData takes them.

    Args:
        vcpus: Instance type and vCPUs of each running instance.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Quotas-Visualize-Alarms.html
    """
    used: dict[Quota, int] = {}
    for instance_type, count in vcpus:
        if family := family_of(instance_type):
            used[family] = used.get(family, 0) + count
    return [
        {
            "MetricName": METRIC,
            "Dimensions": [{"Name": name, "Value": value} for name, value in family.dimensions.items()],
            "Timestamp": now,
            "Value": float(count),
            "Unit": "None",
        }
        for family, count in used.items()
    ]


def install(patches: Patches) -> None:
    """Answer the operations of Service Quotas here."""
    own_operations.install(
        patches,
        ServiceQuotasResponse,
        backend=lambda response: servicequotas_backends[response.current_account][response.region],
        operations=OPERATIONS,
    )


def target_limits(backend: Any) -> dict[str, str]:
    """Return the account's limits of targets as Elastic Load Balancing calls them; `backend` is moto's."""
    records = own_operations.records_of(backend)
    return {quota.limit: f"{_value(records, quota):.0f}" for quota in TARGETS}


def _get(records: Records, parameters: Parameters) -> dict[str, Any]:
    return {"Quota": _applied(records, _find(parameters))}


def _list(records: Records, parameters: Parameters) -> dict[str, Any]:
    wanted = parameters.get("QuotaCode")
    found = [each for each in _of_service(parameters) if wanted in (None, each.code)]
    return {"Quotas": [_applied(records, each) for each in found]}


def _get_default(records: Records, parameters: Parameters) -> dict[str, Any]:
    quota = _find(parameters)
    return {"Quota": _shown(records, quota, quota.default)}


def _list_defaults(records: Records, parameters: Parameters) -> dict[str, Any]:
    return {"Quotas": [_shown(records, each, each.default) for each in _of_service(parameters)]}


def _request(records: Records, parameters: Parameters) -> dict[str, Any]:
    quota = _find(parameters)
    desired = float(parameters["DesiredValue"])
    if desired <= _value(records, quota):
        raise AwsError(
            "IllegalArgumentException",
            "You must provide a quota value greater than the current quota value.",
        )
    records.setdefault("granted", {})[quota.code] = {"value": desired}
    told = _applied(records, quota)
    now = utcnow()
    request = {
        "Id": f"{quota.code[2:].lower()}{int(desired):024x}",
        "Status": "APPROVED",
        "Created": now,
        "LastUpdated": now,
        "DesiredValue": desired,
        "QuotaRequestedAtLevel": "ACCOUNT",
    }
    shared = ("ServiceCode", "ServiceName", "QuotaArn", "QuotaCode", "QuotaName", "GlobalQuota", "Unit")
    return {"RequestedQuota": request | {name: told[name] for name in shared}}


def _of_service(parameters: Parameters) -> list[Quota]:
    found = [each for each in QUOTAS if each.service == parameters["ServiceCode"]]
    if not found:
        raise _no_such("service")
    return found


def _find(parameters: Parameters) -> Quota:
    for quota in _of_service(parameters):
        if quota.code == parameters["QuotaCode"]:
            return quota
    raise _no_such("quota")


def _no_such(kind: str) -> AwsError:
    """Return AWS's answer for what it does not know: here that is all but QUOTAS."""
    return AwsError(
        "NoSuchResourceException",
        f"The request failed because the specified {kind} does not exist.",
    )


def _value(records: Records, quota: Quota) -> float:
    """Return what the account may have by now."""
    return float(records.get("granted", {}).get(quota.code, {}).get("value", quota.granted))


def _applied(records: Records, quota: Quota) -> dict[str, Any]:
    return _shown(records, quota, _value(records, quota)) | {"QuotaAppliedAtLevel": "ACCOUNT"}


def _shown(records: Records, quota: Quota, value: float) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "ServiceCode": quota.service,
        "ServiceName": _NAMES[quota.service],
        "QuotaArn": f"arn:aws:servicequotas:{records['region']['name']}::{quota.service}/{quota.code}",
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
    if quota.metric_class:
        shown["UsageMetric"] = {
            "MetricNamespace": NAMESPACE,
            "MetricName": METRIC,
            "MetricDimensions": quota.dimensions,
            "MetricStatisticRecommendation": "Maximum",
        }
    return shown


OPERATIONS: dict[str, Operation] = {
    "GetAWSDefaultServiceQuota": _get_default,
    "GetServiceQuota": _get,
    "ListAWSDefaultServiceQuotas": _list_defaults,
    "ListServiceQuotas": _list,
    "RequestServiceQuotaIncrease": _request,
}
