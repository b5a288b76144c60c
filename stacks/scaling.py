# SPDX-License-Identifier: Apache-2.0
"""Target tracking: the policy that keeps a fleet's metric at its target."""

from __future__ import annotations

from typing import Any

from troposphere import Join, Ref, autoscaling

from orchestrator.config.fleets import Fleet, Metric, Scaling
from stacks.inputs import EnvironmentInputs
from stacks.machine_access import group_name
from stacks.stack import EnvironmentStack, NetworkStack, logical, output


def policy(inputs: EnvironmentInputs, name: str, scaling: Scaling) -> autoscaling.ScalingPolicy:
    """Return the scaling policy of a fleet."""
    return autoscaling.ScalingPolicy(
        f"{logical(name)}Scaling",
        AutoScalingGroupName=Ref(f"{logical(name)}Group"),
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration=autoscaling.TargetTrackingConfiguration(
            TargetValue=scaling.target, **_metric(inputs, name, scaling.metric)
        ),
    )


def _metric(inputs: EnvironmentInputs, name: str, metric: Metric) -> dict[str, Any]:
    if metric is Metric.QUEUE_DEPTH:
        return {"CustomizedMetricSpecification": _queue_depth(inputs, name)}
    return {"PredefinedMetricSpecification": _requests(inputs) if metric is Metric.REQUESTS else _cpu()}


def _cpu() -> autoscaling.PredefinedMetricSpecification:
    return autoscaling.PredefinedMetricSpecification(PredefinedMetricType="ASGAverageCPUUtilization")


def _requests(inputs: EnvironmentInputs) -> autoscaling.PredefinedMetricSpecification:
    """Count requests by the label that the balancer and the target group make together.

    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PredefinedMetricSpecification.html
    """
    names = ("BalancerFullName", f"{logical(inputs.environment.name)}TargetGroupFullName")
    label = Join("/", [output(inputs.network.name, NetworkStack.BALANCER, each) for each in names])
    return autoscaling.PredefinedMetricSpecification(
        PredefinedMetricType="ALBRequestCountPerTarget", ResourceLabel=label
    )


def _queue_depth(inputs: EnvironmentInputs, name: str) -> autoscaling.CustomizedMetricSpecification:
    """Divide the waiting jobs by the machines.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-target-tracking-metric-math.html
    """
    queue = output(inputs.environment.name, EnvironmentStack.QUEUES, "JobsQueueName")
    group = group_name(inputs.environment.name, name)
    return autoscaling.CustomizedMetricSpecification(
        Metrics=[
            _operand(
                "jobs", ("AWS/SQS", "ApproximateNumberOfMessagesVisible"), {"QueueName": queue}, stat="Sum"
            ),
            _operand(
                "machines",
                ("AWS/AutoScaling", "GroupInServiceInstances"),
                {"AutoScalingGroupName": group},
                stat="Average",
            ),
            autoscaling.TargetTrackingMetricDataQuery(
                Id="depth",
                Label="Waiting jobs per machine",
                Expression=_quotient(inputs.environment.fleets[name]),
                ReturnData=True,
            ),
        ]
    )


def _quotient(fleet: Fleet) -> str:
    # A group that may be empty would never be filled again: no machines, no metric.
    return "jobs / machines" if fleet.min_size else "IF(machines > 0, jobs / machines, jobs)"


def _operand(
    name: str, metric: tuple[str, str], dimensions: dict[str, Any], *, stat: str
) -> autoscaling.TargetTrackingMetricDataQuery:
    namespace, metric_name = metric
    described = autoscaling.Metric(
        Namespace=namespace,
        MetricName=metric_name,
        Dimensions=[autoscaling.MetricDimension(Name=key, Value=value) for key, value in dimensions.items()],
    )
    return autoscaling.TargetTrackingMetricDataQuery(
        Id=name,
        MetricStat=autoscaling.TargetTrackingMetricStat(Metric=described, Stat=stat),
        ReturnData=False,
    )
