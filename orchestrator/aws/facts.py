# SPDX-License-Identifier: Apache-2.0
"""What AWS knows that decides whether a rollout can go well."""

from __future__ import annotations

from orchestrator.aws.facts_balancers import AwsBalancerFacts
from orchestrator.aws.facts_ec2 import AwsEc2Facts
from orchestrator.aws.facts_quotas import AwsQuotaFacts
from orchestrator.aws.facts_stack import AwsStackFacts
from orchestrator.aws.session import AwsSession
from orchestrator.clock import Clock


class AwsFacts(AwsEc2Facts, AwsBalancerFacts, AwsStackFacts, AwsQuotaFacts):
    """All facts of one account and region; what is asked of each service is a class of its own."""

    def __init__(self, session: AwsSession, clock: Clock) -> None:
        super().__init__(session)
        self._clock = clock
