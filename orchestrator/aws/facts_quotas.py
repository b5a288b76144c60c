# SPDX-License-Identifier: Apache-2.0
"""What Service Quotas allows, and what CloudWatch says is used of it.

https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from orchestrator.aws.session import AwsSession, translated
from orchestrator.clock import Clock
from orchestrator.domain.preflight.facts import VcpuRoom
from orchestrator.errors import AwsError

_STANDARD = "L-1216C47A"
_CODES = {
    **dict.fromkeys(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"), _STANDARD),
    **dict.fromkeys(("g", "gr", "vt"), "L-DB2E81BA"),
    "dl": "L-6E869C2A",
    "f": "L-74FC7D96",
    "hpc": "L-F7808C92",
    "inf": "L-1945791B",
    "p": "L-417A185B",
    "trn": "L-2C3B7624",
    "u": "L-43DA4232",
    "x": "L-7295265B",
}
_PREFIX = re.compile(r"[a-z]*")
# AWS tells a quota this way that has its default value and was never applied.
_NOT_APPLIED = "NoSuchResourceException"
# The use is measured each minute or some minutes apart; older data says nothing of now.
_PERIOD_S = 300
_RECENT = timedelta(minutes=15)


def quota_code(instance_type: str) -> str:
    """Return the code of the quota that a type's on-demand vCPUs count to, empty if none is known."""
    found = _PREFIX.match(instance_type)
    return _CODES.get(found.group(), "") if found else ""


class AwsQuotaFacts:
    """Quotas of one account and region."""

    _session: AwsSession
    _clock: Clock

    def vcpu_room(self, instance_type: str) -> VcpuRoom:
        """Return the quota of on-demand vCPUs that a type counts to, and its use."""
        code = quota_code(instance_type)
        if not code:
            why = f"no quota is known for {instance_type}"
            raise AwsError("service-quotas", "GetServiceQuota", "UnknownFamily", why)
        quota = self._quota(code)
        metric = quota.get("UsageMetric")
        return VcpuRoom(code, int(quota["Value"]), self._used(metric) if metric else None)

    def _quota(self, code: str) -> Mapping[str, Any]:
        try:
            return self._applied_quota(code)
        except AwsError as exc:
            if exc.code != _NOT_APPLIED:
                raise
            return self._default_quota(code)

    @translated
    def _applied_quota(self, code: str) -> Mapping[str, Any]:
        api = self._session.client("service-quotas")
        quota: Mapping[str, Any] = api.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]
        return quota

    @translated
    def _default_quota(self, code: str) -> Mapping[str, Any]:
        api = self._session.client("service-quotas")
        found = api.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=code)
        quota: Mapping[str, Any] = found["Quota"]
        return quota

    @translated
    def _used(self, usage: Mapping[str, Any]) -> int | None:
        """Return the latest value of the metric that a quota names as that of its use."""
        now = self._clock.now()
        metric = {
            "Namespace": usage["MetricNamespace"],
            "MetricName": usage["MetricName"],
            "Dimensions": [
                {"Name": name, "Value": value} for name, value in usage["MetricDimensions"].items()
            ],
        }
        stat = {"Metric": metric, "Period": _PERIOD_S, "Stat": usage["MetricStatisticRecommendation"]}
        found = self._session.client("cloudwatch").get_metric_data(
            StartTime=now - _RECENT,
            EndTime=now,
            ScanBy="TimestampDescending",
            MetricDataQueries=[{"Id": "used", "MetricStat": stat}],
        )
        values = found["MetricDataResults"][0]["Values"]
        return int(values[0]) if values else None
