# SPDX-License-Identifier: Apache-2.0
"""What a rollout takes beside the group: what is asked before it, versions of the launch template, notices.

Auto Scaling launches machines by the launch template only for a caller who could do so himself.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
"""

from __future__ import annotations

from typing import Any

from orchestrator.config.models import Environment
from stacks.inputs import EnvironmentInputs
from stacks.policies import allow_everywhere, arn, role_path, use_key
from stacks.policy import Statement, allow
from stacks.stack import NetworkStack, output

_ASK = (
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "elasticloadbalancing:DescribeAccountLimits",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
)


def statements(inputs: EnvironmentInputs) -> list[Statement]:
    """Return what operators need to roll the environment's fleets."""
    environment = inputs.environment
    account = environment.account_id
    return [
        allow_everywhere(_ASK),
        allow(
            ["iam:GetInstanceProfile"],
            [f"arn:aws:iam::{account}:instance-profile{role_path(environment)}*"],
        ),
        allow(
            ["cloudformation:DescribeStacks", "cloudformation:ListChangeSets"],
            [
                arn(environment, "cloudformation", f"stack/slipway-{owner}-*")
                for owner in dict.fromkeys((environment.name, inputs.network.name))
            ],
        ),
        allow(
            ["ec2:GetConsoleOutput"],
            [arn(environment, "ec2", "instance/*")],
            condition=_of_environment(environment),
        ),
        allow(
            [
                "ec2:CreateLaunchTemplateVersion",
                "ec2:DeleteLaunchTemplateVersions",
                "ec2:ModifyLaunchTemplate",
            ],
            [arn(environment, "ec2", "launch-template/*")],
            condition=_of_environment(environment),
        ),
        *_launch_statements(environment),
        *_notice_statements(inputs),
    ]


def _launch_statements(environment: Environment) -> list[Statement]:
    """Let Auto Scaling be told to launch a version, with the role of the environment's machines."""
    kinds = ("instance", "volume", "network-interface", "subnet", "security-group")
    from_template = {
        "Bool": {"ec2:IsLaunchTemplateResource": "true"},
        "ArnLike": {"ec2:LaunchTemplate": arn(environment, "ec2", "launch-template/*")},
    }
    return [
        allow(
            ["ec2:RunInstances"],
            [
                *(arn(environment, "ec2", f"{kind}/*") for kind in kinds),
                f"arn:aws:ec2:{environment.region}::image/*",
            ],
            condition=from_template,
        ),
        allow(
            ["ec2:RunInstances"],
            [arn(environment, "ec2", "launch-template/*")],
            condition=_of_environment(environment),
        ),
        allow(
            ["ec2:CreateTags"],
            [arn(environment, "ec2", f"{kind}/*") for kind in kinds],
            condition={"StringEquals": {"ec2:CreateAction": "RunInstances"}},
        ),
        allow(
            ["iam:PassRole"],
            [f"arn:aws:iam::{environment.account_id}:role{role_path(environment)}*"],
            condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
    ]


def _notice_statements(inputs: EnvironmentInputs) -> list[Statement]:
    """Let a rollout tell what it does; the topic is encrypted."""
    environment = inputs.environment
    key_arn = output(inputs.network.name, NetworkStack.SECURITY, "DataKeyArn")
    return [
        allow(["sns:Publish"], [arn(environment, "sns", f"slipway-{environment.name}-alerts")]),
        use_key(key_arn, environment, ["sns"]),
    ]


def _of_environment(environment: Environment) -> dict[str, Any]:
    return {"StringEquals": {"aws:ResourceTag/slipway:environment": environment.name}}
