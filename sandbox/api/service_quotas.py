# SPDX-License-Identifier: Apache-2.0
"""Service Quotas for running on-demand instances: one quota of vCPUs for each family of types.

A new account's defaults are AWS's own. The account of the region has been granted more, as one that has run
for a while, and whatever increase it requests, at once. Nothing is enforced: launches never run into a quota.

https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
_SERVICE = "ec2"
_SERVICE_NAME = "Amazon Elastic Compute Cloud (Amazon EC2)"


@dataclass(frozen=True, slots=True)
class Family:
    """Instance types that share a quota. `prefixes` are the letters that their names begin with."""

    code: str
    name: str
    metric_class: str
    prefixes: tuple[str, ...]
    default: float = 0.0
    granted: float = 0.0

    @property
    def dimensions(self) -> dict[str, str]:
        """Return the dimensions of the metric of its use."""
        return {
            "Service": "EC2",
            "Type": "Resource",
            "Resource": "vCPU",
            "Class": f"{self.metric_class}/OnDemand",
        }


_STANDARD = ("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z")
FAMILIES = (
    Family("L-1216C47A", "Standard (A, C, D, H, I, M, R, T, Z)", "Standard", _STANDARD, 5.0, GRANTED),
    Family("L-6E869C2A", "DL", "DL", ("dl",)),
    Family("L-74FC7D96", "F", "F", ("f",)),
    Family("L-DB2E81BA", "G and VT", "G", ("g", "gr", "vt")),
    Family("L-F7808C92", "HPC", "HPC", ("hpc",)),
    Family("L-43DA4232", "High Memory", "HighMemory", ("u",)),
    Family("L-1945791B", "Inf", "Inf", ("inf",)),
    Family("L-417A185B", "P", "P", ("p",)),
    Family("L-2C3B7624", "Trn", "Trn", ("trn",)),
    Family("L-7295265B", "X", "X", ("x",)),
)
_BY_CODE = {family.code: family for family in FAMILIES}
_BY_PREFIX = {prefix: family for family in FAMILIES for prefix in family.prefixes}
_PREFIX = re.compile(r"[a-z]+")


def family_of(instance_type: str) -> Family | None:
    """Return the family of an instance type, None for one that has no such quota, as bare metal Macs."""
    found = _PREFIX.match(instance_type)
    return _BY_PREFIX.get(found.group()) if found else None


def usage(vcpus: Iterable[tuple[str, int]], now: datetime) -> list[dict[str, Any]]:
    """Return the metrics of what runs, as PutMetricData takes them.

    Args:
        vcpus: Instance type and vCPUs of each running instance.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Quotas-Visualize-Alarms.html
    """
    used: dict[Family, int] = {}
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


def _get(records: Records, parameters: Parameters) -> dict[str, Any]:
    return {"Quota": _applied(records, _find(parameters))}


def _list(records: Records, parameters: Parameters) -> dict[str, Any]:
    _check_service(parameters)
    wanted = parameters.get("QuotaCode")
    return {"Quotas": [_applied(records, each) for each in FAMILIES if wanted in (None, each.code)]}


def _get_default(records: Records, parameters: Parameters) -> dict[str, Any]:
    return {"Quota": _default(records, _find(parameters))}


def _list_defaults(records: Records, parameters: Parameters) -> dict[str, Any]:
    _check_service(parameters)
    return {"Quotas": [_default(records, each) for each in FAMILIES]}


def _request(records: Records, parameters: Parameters) -> dict[str, Any]:
    family = _find(parameters)
    desired = float(parameters["DesiredValue"])
    if desired <= _applied(records, family)["Value"]:
        raise AwsError(
            "IllegalArgumentException",
            "You must provide a quota value greater than the current quota value.",
        )
    granted = records.setdefault("granted", {})
    granted[family.code] = {"value": desired}
    told = _applied(records, family)
    now = utcnow()
    request = {
        "Id": f"{family.code[2:].lower()}{int(desired):024x}",
        "Status": "APPROVED",
        "Created": now,
        "LastUpdated": now,
        "DesiredValue": desired,
        "QuotaRequestedAtLevel": "ACCOUNT",
    }
    shared = ("ServiceCode", "ServiceName", "QuotaArn", "QuotaCode", "QuotaName", "GlobalQuota", "Unit")
    return {"RequestedQuota": request | {name: told[name] for name in shared}}


def _check_service(parameters: Parameters) -> None:
    if parameters["ServiceCode"] != _SERVICE:
        raise _no_such("service")


def _find(parameters: Parameters) -> Family:
    _check_service(parameters)
    family = _BY_CODE.get(parameters["QuotaCode"])
    if family is None:
        raise _no_such("quota")
    return family


def _no_such(kind: str) -> AwsError:
    """Return AWS's answer for what it does not know: here that is all but on-demand vCPUs."""
    return AwsError(
        "NoSuchResourceException",
        f"The request failed because the specified {kind} does not exist.",
    )


def _applied(records: Records, family: Family) -> dict[str, Any]:
    granted: Mapping[str, Any] = records.get("granted", {}).get(family.code, {})
    value = float(granted.get("value", family.granted))
    return _shown(records, family, value) | {"QuotaAppliedAtLevel": "ACCOUNT"}


def _default(records: Records, family: Family) -> dict[str, Any]:
    return _shown(records, family, family.default)


def _shown(records: Records, family: Family, value: float) -> dict[str, Any]:
    return {
        "ServiceCode": _SERVICE,
        "ServiceName": _SERVICE_NAME,
        "QuotaArn": f"arn:aws:servicequotas:{records['region']['name']}::{_SERVICE}/{family.code}",
        "QuotaCode": family.code,
        "QuotaName": f"Running On-Demand {family.name} instances",
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "UsageMetric": {
            "MetricNamespace": NAMESPACE,
            "MetricName": METRIC,
            "MetricDimensions": family.dimensions,
            "MetricStatisticRecommendation": "Maximum",
        },
    }


OPERATIONS: dict[str, Operation] = {
    "GetAWSDefaultServiceQuota": _get_default,
    "GetServiceQuota": _get,
    "ListAWSDefaultServiceQuotas": _list_defaults,
    "ListServiceQuotas": _list,
    "RequestServiceQuotaIncrease": _request,
}
