# SPDX-License-Identifier: Apache-2.0
"""Operations: alarms when the environment does not do what it is there for, and when it costs too much.

All go to the environment's alerts topic. Each alarm is about something that users notice or soon will; the
balancer as a whole and the database have theirs in the network's audit stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from troposphere import Template, budgets, cloudwatch

from orchestrator.config.models import Environment
from stacks.fleets import has_balancer
from stacks.inputs import EnvironmentInputs
from stacks.stack import EnvironmentStack, NetworkStack, Stack, logical, output, stack_name

# A job that waits so long is a feature that does not work.
QUEUE_AGE_S = 900
SERVER_ERRORS = 10
_PERIOD_S = 60


@dataclass(frozen=True, slots=True)
class Alarm:
    """A metric and when it is too high; of `minimum`, when it is below that."""

    title: str
    says: str
    metric: tuple[str, str]
    dimensions: dict[str, Any]
    statistic: str = "Maximum"
    above: float = 0
    minimum: int | None = None
    periods: int = 1
    no_data: str = "notBreaching"


def synthesise(inputs: EnvironmentInputs) -> Stack:
    """Return the stack that watches the environment."""
    environment = inputs.environment
    template = Template(Description=f"The alarms and the budget of {environment.name}.")
    alerts = output(environment.name, EnvironmentStack.QUEUES, "AlertsTopicArn")
    for alarm in _alarms(inputs):
        template.add_resource(_resource(environment, alarm, alerts))
    if environment.budget_usd:
        template.add_resource(_budget(environment, environment.budget_usd, alerts))
    of_environment = (EnvironmentStack.QUEUES, EnvironmentStack.FUNCTIONS, EnvironmentStack.FLEETS)
    depends_on = (
        *([stack_name(inputs.network.name, NetworkStack.BALANCER)] if has_balancer(inputs) else []),
        *(stack_name(environment.name, kind) for kind in of_environment),
    )
    return Stack(EnvironmentStack.OPERATIONS, environment.name, template, depends_on)


def _alarms(inputs: EnvironmentInputs) -> Iterator[Alarm]:
    yield from _queue_alarms(inputs)
    yield from _function_alarms(inputs)
    if has_balancer(inputs):
        yield from _target_alarms(inputs)
    yield from _fleet_alarms(inputs)


def _queue_alarms(inputs: EnvironmentInputs) -> Iterator[Alarm]:
    of_environment = inputs.environment.name
    jobs = output(of_environment, EnvironmentStack.QUEUES, "JobsQueueName")
    dead_jobs = output(of_environment, EnvironmentStack.QUEUES, "DeadLetterQueueName")
    dead_images = output(of_environment, EnvironmentStack.FUNCTIONS, "ImageVariantsDeadLetterQueueName")
    waiting = ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    yield Alarm("DeadJobs", "Jobs failed too often and were put aside.", waiting, {"QueueName": dead_jobs})
    yield Alarm("DeadImages", "Uploads gave no variants.", waiting, {"QueueName": dead_images})
    yield Alarm(
        "OldJobs",
        f"A job has waited for more than {QUEUE_AGE_S} s.",
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        {"QueueName": jobs},
        above=QUEUE_AGE_S,
    )


def _function_alarms(inputs: EnvironmentInputs) -> Iterator[Alarm]:
    name = output(inputs.environment.name, EnvironmentStack.FUNCTIONS, "ImageVariantsName")
    for title, says, metric in (
        ("FunctionErrors", "image_variants fails.", "Errors"),
        ("FunctionThrottles", "image_variants has reached its concurrency.", "Throttles"),
    ):
        yield Alarm(title, says, ("AWS/Lambda", metric), {"FunctionName": name}, statistic="Sum", periods=5)


def _target_alarms(inputs: EnvironmentInputs) -> Iterator[Alarm]:
    network = inputs.network.name
    target_group = f"{logical(inputs.environment.name)}TargetGroupFullName"
    dimensions = {
        "LoadBalancer": output(network, NetworkStack.BALANCER, "BalancerFullName"),
        "TargetGroup": output(network, NetworkStack.BALANCER, target_group),
    }
    yield Alarm(
        "UnhealthyTargets",
        "Machines behind the balancer fail their health checks.",
        ("AWS/ApplicationELB", "UnHealthyHostCount"),
        dimensions,
        periods=3,
    )
    yield Alarm(
        "ServerErrors",
        f"More than {SERVER_ERRORS} requests a minute are answered with 5xx.",
        ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"),
        dimensions,
        statistic="Sum",
        above=SERVER_ERRORS,
        periods=3,
    )


def _fleet_alarms(inputs: EnvironmentInputs) -> Iterator[Alarm]:
    environment = inputs.environment
    for name, fleet in sorted(environment.fleets.items()):
        if not fleet.min_size:
            continue
        group = output(environment.name, EnvironmentStack.FLEETS, f"{logical(name)}GroupName")
        yield Alarm(
            f"{logical(name)}TooFew",
            f"Fewer than {fleet.min_size} machines of {name} are in service.",
            ("AWS/AutoScaling", "GroupInServiceInstances"),
            {"AutoScalingGroupName": group},
            statistic="Minimum",
            minimum=fleet.min_size,
            periods=5,
            # A group that reports nothing has nothing.
            no_data="breaching",
        )


def _resource(environment: Environment, alarm: Alarm, alerts: Any) -> cloudwatch.Alarm:
    namespace, metric = alarm.metric
    is_floor = alarm.minimum is not None
    return cloudwatch.Alarm(
        alarm.title,
        AlarmName=f"slipway-{environment.name}-{alarm.title}",
        AlarmDescription=alarm.says,
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[
            cloudwatch.MetricDimension(Name=name, Value=value) for name, value in alarm.dimensions.items()
        ],
        Statistic=alarm.statistic,
        Period=_PERIOD_S,
        EvaluationPeriods=alarm.periods,
        ComparisonOperator="LessThanThreshold" if is_floor else "GreaterThanThreshold",
        Threshold=alarm.minimum if is_floor else alarm.above,
        TreatMissingData=alarm.no_data,
        AlarmActions=[alerts],
        OKActions=[alerts],
    )


def _budget(environment: Environment, limit_usd: int, alerts: Any) -> budgets.Budget:
    """Watch what carries the environment's tag, as several environments share an account.

    AWS sees the tag once it is activated for cost allocation. CloudFormation replaces a budget whose
    notifications change, which a name of its own would forbid.
    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
    """
    data = budgets.BudgetData(
        BudgetType="COST",
        TimeUnit="MONTHLY",
        BudgetLimit=budgets.Spend(Amount=limit_usd, Unit="USD"),
        CostFilters={"TagKeyValue": [f"user:slipway:environment${environment.name}"]},
    )
    limits = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
    return budgets.Budget(
        "Budget",
        Budget=data,
        NotificationsWithSubscribers=[
            budgets.NotificationWithSubscribers(
                Notification=budgets.Notification(
                    NotificationType=kind,
                    ComparisonOperator="GREATER_THAN",
                    Threshold=percentage,
                    ThresholdType="PERCENTAGE",
                ),
                Subscribers=[budgets.Subscriber(SubscriptionType="SNS", Address=alerts)],
            )
            for kind, percentage in limits
        ],
    )
