# SPDX-License-Identifier: Apache-2.0
"""Load balancers."""

from __future__ import annotations

from orchestrator.aws.session import AwsSession, translated


class AwsBalancers:
    """Application load balancers, known by what their network interfaces say."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @translated
    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the public addresses of a load balancer, sorted.

        Args:
            name: As in its ARN: `app/<name>/<id>`.

        https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
        """
        pages = self._session.client("ec2").get_paginator("describe_network_interfaces")
        found = pages.paginate(Filters=[{"Name": "description", "Values": [f"ELB {name}"]}])
        return tuple(
            sorted(
                str(each["Association"]["PublicIp"])
                for page in found
                for each in page["NetworkInterfaces"]
                if each.get("Association")
            )
        )
