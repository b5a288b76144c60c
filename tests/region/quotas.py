# SPDX-License-Identifier: Apache-2.0
"""What an account has to be granted before it can run thousands of machines behind a load balancer."""

from __future__ import annotations

from typing import Any

# vCPUs of the standard families, targets per target group, targets per application load balancer.
QUOTAS = (
    ("ec2", "L-1216C47A"),
    ("elasticloadbalancing", "L-A0D0B863"),
    ("elasticloadbalancing", "L-7E6692B2"),
)


def raise_quotas(service_quotas: Any, desired: float) -> None:
    """Have all of them raised; `service_quotas` is boto3's client, and `desired` more than there is."""
    for service, code in QUOTAS:
        service_quotas.request_service_quota_increase(
            ServiceCode=service, QuotaCode=code, DesiredValue=desired
        )
