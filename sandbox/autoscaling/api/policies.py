# SPDX-License-Identifier: Apache-2.0
"""Operations on scaling policies.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScalingPolicy.html
"""

from __future__ import annotations

from typing import Any

from sandbox.api.errors import unsupported
from sandbox.autoscaling import policies, scaling, target_alarms
from sandbox.autoscaling.api.context import Answer, Context, Parameters, invalid, page
from sandbox.autoscaling.api.groups import check_cooldown, remove_alarms
from sandbox.autoscaling.group import Group
from sandbox.autoscaling.policies import CHANGE, EXACT, PERCENT, SIMPLE, STEP, TARGET_TRACKING, Policy
from sandbox.autoscaling.state import new_id

_PREDEFINED = (
    "ASGAverageCPUUtilization",
    "ASGAverageNetworkIn",
    "ASGAverageNetworkOut",
    "ALBRequestCountPerTarget",
)


class Policies:
    """Operations on policies; the alarms of target tracking are made and removed soon after."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def put_scaling_policy(self, parameters: Parameters) -> Answer:
        """Make a policy, or replace the one of the same name."""
        group = self._context.group(parameters)
        kind = parameters.get("PolicyType", SIMPLE)
        if kind not in (SIMPLE, STEP, TARGET_TRACKING):
            raise unsupported(f"autoscaling.PutScalingPolicy with the policy type {kind}")
        _check(kind, parameters)
        before = self._named(group, parameters["PolicyName"])
        policy = self._policy(group, kind, parameters, before)
        stale = [name for name in (before.alarms if before else ()) if name not in policy.alarms]
        self._context.state().policies[policy.arn] = policy
        self._context.later(lambda: remove_alarms(self._context, stale))
        if policy.kind == TARGET_TRACKING:
            self._context.later(lambda: self._put_alarms(policy))
        return {"PolicyARN": policy.arn, "Alarms": self._alarms(policy)}

    def describe_policies(self, parameters: Parameters) -> Answer:
        """Show policies."""
        group = self._context.group(parameters) if parameters.get("AutoScalingGroupName") else None
        names, kinds = parameters.get("PolicyNames"), parameters.get("PolicyTypes")
        found = [
            policy
            for policy in self._context.state().policies.values()
            if (group is None or policy.group == group.name)
            and (not names or policy.name in names or policy.arn in names)
            and (not kinds or policy.kind in kinds)
        ]
        shown, following = page(found, parameters, usual=50, most=100)
        return {"ScalingPolicies": [self._shown(policy) for policy in shown], **following}

    def delete_policy(self, parameters: Parameters) -> None:
        """Remove a policy and the alarms that were made for it."""
        policy = self._asked(parameters)
        del self._context.state().policies[policy.arn]
        self._context.later(lambda: remove_alarms(self._context, policy.alarms))

    def execute_policy(self, parameters: Parameters) -> None:
        """Do what a policy says, without an alarm."""
        policy = self._asked(parameters)
        group = self._context.state().groups[policy.group]
        if policy.kind == TARGET_TRACKING:
            raise invalid("Target tracking policies can't be executed.")
        breach = None
        if policy.kind == STEP:
            metric, threshold = parameters.get("MetricValue"), parameters.get("BreachThreshold")
            if metric is None or threshold is None:
                raise invalid("MetricValue and BreachThreshold are required for step scaling policies.")
            breach = float(metric) - float(threshold)
        elif parameters.get("HonorCooldown"):
            own = policy.cooldown_s
            check_cooldown(self._context, group, group.settings.cooldown_s if own is None else own)
        now = self._context.now()
        young = scaling.warming(group, policy, now)
        wanted = policies.scaled(policy, desired=group.settings.desired, warming=young, breach=breach)
        if wanted is not None and scaling.set_desired(group, policy, wanted, alarm=None, now=now):
            self._context.wake(group.name)

    def _policy(self, group: Group, kind: str, parameters: Parameters, before: Policy | None) -> Policy:
        name = parameters["PolicyName"]
        arn = f"scalingPolicy:{new_id()}:autoScalingGroupName/{group.name}:policyName/{name}"
        target = parameters.get("TargetTrackingConfiguration") if kind == TARGET_TRACKING else None
        return Policy(
            name=name,
            arn=before.arn if before else self._context.arn(arn),
            group=group.name,
            kind=kind,
            adjustment_type=parameters.get("AdjustmentType"),
            adjustment=parameters.get("ScalingAdjustment"),
            least_adjustment=parameters.get("MinAdjustmentMagnitude"),
            cooldown_s=parameters.get("Cooldown"),
            steps=tuple(parameters.get("StepAdjustments", ())),
            aggregation=parameters.get("MetricAggregationType"),
            warmup_s=parameters.get("EstimatedInstanceWarmup"),
            target=target,
            is_enabled=parameters.get("Enabled", True),
            alarms=_alarm_names(group, target, before) if target else [],
        )

    def _named(self, group: Group, name: str) -> Policy | None:
        every = self._context.state().policies.values()
        return next(
            (each for each in every if each.group == group.name and name in (each.name, each.arn)), None
        )

    def _asked(self, parameters: Parameters) -> Policy:
        name = parameters["PolicyName"]
        if parameters.get("AutoScalingGroupName"):
            policy = self._named(self._context.group(parameters), name)
        else:
            policy = self._context.state().policies.get(name)
        if policy is None:
            raise (
                invalid(f"Policy not found: {name}")
                if parameters.get("AutoScalingGroupName")
                else invalid("A policy that is named without its group needs its whole ARN.")
            )
        return policy

    def _put_alarms(self, policy: Policy) -> None:
        for alarm in target_alarms.of_target(policy):
            self._context.client("cloudwatch").put_metric_alarm(**alarm)

    def _alarms(self, policy: Policy) -> list[Answer]:
        prefix = f"arn:aws:cloudwatch:{self._context.region}:{self._context.account_id}:alarm:"
        return [{"AlarmName": name, "AlarmARN": f"{prefix}{name}"} for name in policy.alarms]

    def _shown(self, policy: Policy) -> Answer:
        shown: dict[str, Any] = {
            "AutoScalingGroupName": policy.group,
            "PolicyName": policy.name,
            "PolicyARN": policy.arn,
            "PolicyType": policy.kind,
            "AdjustmentType": policy.adjustment_type,
            "MinAdjustmentMagnitude": policy.least_adjustment,
            "ScalingAdjustment": policy.adjustment,
            "Cooldown": policy.cooldown_s,
            "StepAdjustments": [dict(step) for step in policy.steps],
            "MetricAggregationType": policy.aggregation,
            "EstimatedInstanceWarmup": policy.warmup_s,
            "Alarms": self._alarms(policy),
            "TargetTrackingConfiguration": policy.target,
            "Enabled": policy.is_enabled,
        }
        return {name: value for name, value in shown.items() if value is not None}


def _alarm_names(group: Group, target: Parameters, before: Policy | None) -> list[str]:
    known = before.alarms if before else []
    wanted = ["High"] if target.get("DisableScaleIn") else ["High", "Low"]
    made = [f"TargetTracking-{group.name}-Alarm{kind}-{new_id()}" for kind in wanted]
    return [known[at] if at < len(known) else name for at, name in enumerate(made)]


def _check(kind: str, parameters: Parameters) -> None:
    if kind == TARGET_TRACKING:
        _check_target(parameters.get("TargetTrackingConfiguration"))
        return
    if parameters.get("AdjustmentType") not in (CHANGE, EXACT, PERCENT):
        raise invalid(
            "AdjustmentType must be one of ChangeInCapacity, ExactCapacity, PercentChangeInCapacity."
        )
    if kind == SIMPLE and parameters.get("ScalingAdjustment") is None:
        raise invalid("ScalingAdjustment is required for simple scaling policies.")
    if kind == STEP and not parameters.get("StepAdjustments"):
        raise invalid("At least one StepAdjustment must be specified for step scaling policies.")


def _check_target(target: Parameters | None) -> None:
    if not target:
        raise invalid("TargetTrackingConfiguration is required for target tracking scaling policies.")
    predefined, custom = (
        target.get("PredefinedMetricSpecification"),
        target.get("CustomizedMetricSpecification"),
    )
    if bool(predefined) == bool(custom):
        raise invalid("Either a predefined or a customized metric must be specified.")
    if predefined and predefined["PredefinedMetricType"] not in _PREDEFINED:
        raise invalid(f"Predefined metric type {predefined['PredefinedMetricType']} is not valid.")
    if not predefined or predefined["PredefinedMetricType"] != "ALBRequestCountPerTarget":
        return
    if "/targetgroup/" not in predefined.get("ResourceLabel", ""):
        raise invalid(
            "ALBRequestCountPerTarget needs the ResourceLabel of a load balancer and a target group."
        )
