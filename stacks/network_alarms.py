# SPDX-License-Identifier: Apache-2.0
"""The topic that tells people, and the alarms for the database and the balancer of a network.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from troposphere import Ref, Template
from troposphere.cloudwatch import Alarm, MetricDimension
from troposphere.sns import SubscriptionResource, Topic, TopicPolicy

from stacks.inputs import NetworkInputs
from stacks.policy import allow, document, of_account, only_over_tls, service
from stacks.queues import TOPIC_ACTIONS
from stacks.stack import NetworkStack, output

TOPIC = "AlertsTopic"
PERIOD_S = 60
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Watch:
    """A metric, and for how many minutes it may be beyond its threshold."""

    title: str
    metric: str
    statistic: str
    threshold: float
    minutes: int
    text: str
    is_low_bad: bool = False


_DATABASE = (
    _Watch("DatabaseCpu", "CPUUtilization", "Maximum", 85, 10, "A member of the database is busy"),
    _Watch(
        "DatabaseMemory",
        "FreeableMemory",
        "Minimum",
        256 * MIB,
        10,
        "A member lacks memory",
        is_low_bad=True,
    ),
    _Watch("DatabaseDeadlocks", "Deadlocks", "Maximum", 1, 5, "Transactions block each other"),
)
_REPLICAS = (
    _Watch("DatabaseLag", "AuroraReplicaLagMaximum", "Maximum", 2000, 5, "A member lags behind (ms)"),
)
_BALANCER = (
    _Watch("BalancerErrors", "HTTPCode_ELB_5XX_Count", "Sum", 10, 5, "The balancer answers 5xx itself"),
    _Watch("BalancerRejects", "RejectedConnectionCount", "Sum", 1, 1, "The balancer is at its limit"),
)


def add(template: Template, inputs: NetworkInputs) -> None:
    """Add the topic with its readers, and the alarms that are told there."""
    _add_topic(template, inputs)
    owner, database = inputs.name, inputs.network.database
    if database:
        cluster = output(owner, NetworkStack.DATABASE, "ClusterIdentifier")
        watches = (*_DATABASE, *(_REPLICAS if len(database.members) > 1 else ()))
        for watch in watches:
            template.add_resource(_alarm(watch, "AWS/RDS", "DBClusterIdentifier", cluster))
    if inputs.network.domain:
        name = output(owner, NetworkStack.BALANCER, "BalancerFullName")
        for watch in _BALANCER:
            template.add_resource(_alarm(watch, "AWS/ApplicationELB", "LoadBalancer", name))


def _add_topic(template: Template, inputs: NetworkInputs) -> None:
    """Add the topic; whoever gets the alarms of one of the environments gets these too."""
    name = f"slipway-{inputs.name}-network-alerts"
    here = f"{inputs.region}:{inputs.account_id}"
    topic_arn = f"arn:aws:sns:{here}:{name}"
    alarms = {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{here}:alarm:*"}}
    key_arn = output(inputs.name, NetworkStack.SECURITY, "DataKeyArn")
    template.add_resource(Topic(TOPIC, TopicName=name, KmsMasterKeyId=key_arn))
    template.add_resource(
        TopicPolicy(
            f"{TOPIC}Policy",
            Topics=[Ref(TOPIC)],
            PolicyDocument=document(
                only_over_tls(TOPIC_ACTIONS, [topic_arn]),
                allow(
                    ["sns:Publish"],
                    [topic_arn],
                    principal=service("cloudwatch"),
                    condition=of_account(inputs.account_id, **alarms),
                ),
            ),
        )
    )
    for address in sorted({each for one in inputs.environments.values() for each in one.alert_emails}):
        # Named by the address itself, so that one that goes leaves the others alone.
        title = f"Mail{hashlib.sha256(address.encode()).hexdigest()[:8]}"
        template.add_resource(
            SubscriptionResource(title, TopicArn=Ref(TOPIC), Protocol="email", Endpoint=address)
        )


def _alarm(watch: _Watch, namespace: str, dimension: str, value: Any) -> Alarm:
    comparison = "LessThanThreshold" if watch.is_low_bad else "GreaterThanOrEqualToThreshold"
    return Alarm(
        watch.title,
        AlarmDescription=watch.text,
        Namespace=namespace,
        MetricName=watch.metric,
        Dimensions=[MetricDimension(Name=dimension, Value=value)],
        Statistic=watch.statistic,
        Period=PERIOD_S,
        EvaluationPeriods=watch.minutes,
        Threshold=watch.threshold,
        ComparisonOperator=comparison,
        TreatMissingData="notBreaching",
        AlarmActions=[Ref(TOPIC)],
        OKActions=[Ref(TOPIC)],
    )
