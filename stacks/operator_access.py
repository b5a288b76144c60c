# SPDX-License-Identifier: Apache-2.0
"""What operating an environment takes: its state, its secrets, its fleets, and what failed in it."""

from __future__ import annotations

from typing import Any

from orchestrator.config.models import Environment
from stacks import doors, rollout_access
from stacks.fleets import has_balancer
from stacks.inputs import EnvironmentInputs
from stacks.machine_access import group_name
from stacks.policies import (
    allow_everywhere,
    arn,
    asset_arn,
    bucket_arn,
    parameter_arn,
    use_key,
    use_key_for_parameters,
)
from stacks.policy import Statement, allow
from stacks.stack import NetworkStack, logical, output

_SEE = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeInstanceRefreshes",
    "autoscaling:DescribeLifecycleHooks",
    "autoscaling:DescribePolicies",
    "autoscaling:DescribeScalingActivities",
    "cloudwatch:GetMetricData",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "ssm:DescribeParameters",
)
_ROLL = (
    "autoscaling:CancelInstanceRefresh",
    "autoscaling:EnterStandby",
    "autoscaling:ExitStandby",
    "autoscaling:ResumeProcesses",
    "autoscaling:RollbackInstanceRefresh",
    "autoscaling:SetInstanceHealth",
    "autoscaling:SetInstanceProtection",
    "autoscaling:StartInstanceRefresh",
    "autoscaling:SuspendProcesses",
    "autoscaling:TerminateInstanceInAutoScalingGroup",
)


def policies(inputs: EnvironmentInputs) -> dict[str, list[Statement]]:
    """Return the statements of each policy, by its title."""
    return {
        "OperateState": _state_statements(inputs.environment),
        "OperateSecrets": _secret_statements(inputs),
        "OperateFleets": _fleet_statements(inputs),
        "RollOut": rollout_access.statements(inputs),
        "Repair": _repair_statements(inputs),
        "OpenDoors": doors.operator_statements(inputs),
    }


def _state_statements(environment: Environment) -> list[Statement]:
    buckets = [bucket_arn(environment.config_bucket), asset_arn(environment, "bundles")]
    # Deleting hides an object; its versions stay, and only their lifecycle removes them.
    return [
        allow(["s3:ListBucket"], buckets),
        allow(["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], [f"{bucket}/*" for bucket in buckets]),
    ]


def _secret_statements(inputs: EnvironmentInputs) -> list[Statement]:
    environment = inputs.environment
    everything = parameter_arn(environment, "*")
    return [
        allow(
            [
                "ssm:AddTagsToResource",
                "ssm:DeleteParameter",
                "ssm:DeleteParameters",
                "ssm:GetParameter",
                "ssm:GetParameterHistory",
                "ssm:GetParameters",
                "ssm:GetParametersByPath",
                "ssm:LabelParameterVersion",
                "ssm:ListTagsForResource",
                "ssm:PutParameter",
            ],
            [everything.removesuffix("/*"), everything],
        ),
        use_key_for_parameters(
            _data_key(inputs),
            environment,
            ["*"],
            actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
        ),
        allow(
            [
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
            ],
            [arn(environment, "secretsmanager", f"secret:slipway/{environment.name}/*")],
        ),
    ]


def _fleet_statements(inputs: EnvironmentInputs) -> list[Statement]:
    environment = inputs.environment
    groups = [
        arn(
            environment,
            "autoscaling",
            f"autoScalingGroup:*:autoScalingGroupName/{group_name(environment.name, fleet)}",
        )
        for fleet in sorted(environment.fleets)
    ]
    alarms = allow(["cloudwatch:DescribeAlarms"], [arn(environment, "cloudwatch", "alarm:*")])
    statements = [allow_everywhere(_SEE), alarms, *([allow(_ROLL, groups)] if groups else [])]
    if has_balancer(inputs):
        statements.append(_drain_statement(inputs))
    return statements


def _repair_statements(inputs: EnvironmentInputs) -> list[Statement]:
    """Let operators look at what alarms tell of, and put jobs back that failed.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
    """
    environment = inputs.environment
    prefix = f"slipway-{environment.name}"
    jobs, dead_jobs, dead_images = (
        arn(environment, "sqs", f"{prefix}-{each}") for each in ("jobs", "jobs-dead", "image-variants-dead")
    )
    return [
        allow(
            [
                "sqs:CancelMessageMoveTask",
                "sqs:DeleteMessage",
                "sqs:ListMessageMoveTasks",
                "sqs:ReceiveMessage",
                "sqs:StartMessageMoveTask",
            ],
            [dead_jobs, dead_images],
        ),
        allow(["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], [jobs, dead_jobs, dead_images]),
        allow(["sqs:SendMessage"], [jobs]),
        use_key(_data_key(inputs), environment, ["sqs"]),
        allow(
            ["logs:FilterLogEvents", "logs:GetLogEvents"],
            [arn(environment, "logs", f"log-group:/aws/lambda/{prefix}-image-variants:*")],
        ),
    ]


def _drain_statement(inputs: EnvironmentInputs) -> Statement:
    """Let a deploy take machines out of the balancer and put them back."""
    target_group = f"{logical(inputs.environment.name)}TargetGroupArn"
    return allow(
        ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
        [output(inputs.network.name, NetworkStack.BALANCER, target_group)],
    )


def _data_key(inputs: EnvironmentInputs) -> Any:
    return output(inputs.network.name, NetworkStack.SECURITY, "DataKeyArn")
