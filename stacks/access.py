# SPDX-License-Identifier: Apache-2.0
"""Access: the roles of those who work on an environment, each allowed what its work needs, and the doors.

operators   roll out, deploy, set parameters and secrets, open doors, look after what failed; only with a
            second factor
ci          bakes images, publishes bundles and the web application; reads no secret
monitoring  looks at machines, metrics and logs; reads no data

Stacks are provisioned by the account's administrators: whoever makes roles could make himself any.

Who of the account may take a role is for the account's own policies to say; a role's conditions come on top.
Nothing here reaches another environment: parameters, secrets, buckets, groups and roles are named by the
environment, launch templates and machines are told by their tags. Images belong to all environments of an
account, so baking is bound by the tags of bakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from troposphere import GetAtt, Template, iam

from orchestrator.config.models import Environment
from stacks import bake_access, doors, operator_access
from stacks.fleets import has_balancer
from stacks.inputs import EnvironmentInputs
from stacks.parts import add_outputs, skip_checks
from stacks.policies import allow_everywhere, arn, asset_arn, bucket_arn, parameter_arn, role_path, use_key
from stacks.policy import Statement, account, allow, document, trust
from stacks.stack import EnvironmentStack, NetworkStack, Stack, output, stack_name

SESSION_S = 4 * 3600
WATCHED_QUEUES = ("jobs", "jobs-dead", "image-variants-dead")
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def synthesise(inputs: EnvironmentInputs) -> Stack:
    """Return the stack of the roles that work on the environment, and of what its doors are opened with."""
    environment = inputs.environment
    template = Template(Description=f"Who may do what in {environment.name}.")
    baking = template.add_resource(_policy("Bake", environment, bake_access.statements(environment)))
    operating = [
        template.add_resource(_policy(title, environment, statements))
        for title, statements in operator_access.policies(inputs).items()
    ]
    publishing = template.add_resource(_policy("Publish", environment, _publish_statements(inputs)))
    watching = template.add_resource(_policy("Watch", environment, _watch_statements(environment)))
    roles = {
        "Operators": _role("operators", environment, [baking, *operating], condition=MFA),
        "Ci": _role("ci", environment, [baking, publishing], condition=_tagged("ci")),
        "Monitoring": _role("monitoring", environment, [watching], condition=_tagged("monitoring")),
    }
    for role in roles.values():
        template.add_resource(role)
    add_outputs(template, {f"{title}RoleArn": GetAtt(role, "Arn") for title, role in roles.items()})
    add_outputs(template, doors.add(template, inputs))
    return Stack(EnvironmentStack.ACCESS, environment.name, template, _depends_on(inputs))


def _depends_on(inputs: EnvironmentInputs) -> tuple[str, ...]:
    kinds = [NetworkStack.SECURITY]
    if doors.uses_database(inputs):
        kinds.append(NetworkStack.DATABASE)
    if has_balancer(inputs):
        kinds.append(NetworkStack.BALANCER)
    return tuple(stack_name(inputs.network.name, kind) for kind in kinds)


def _tagged(purpose: str) -> dict[str, Any]:
    # Machines have no second factor: they are told by a tag that only the account's administrators give.
    return {"StringEquals": {"aws:PrincipalTag/slipway:access": purpose}}


def _role(
    purpose: str,
    environment: Environment,
    policies: Sequence[iam.ManagedPolicy],
    *,
    condition: Mapping[str, Any],
) -> iam.Role:
    return iam.Role(
        f"{purpose.capitalize()}Role",
        RoleName=f"slipway-{environment.name}-{purpose}",
        Path=role_path(environment),
        MaxSessionDuration=SESSION_S,
        AssumeRolePolicyDocument=trust(account(environment.account_id), condition),
        ManagedPolicyArns=[policy.ref() for policy in policies],
        Metadata=skip_checks(
            CKV_AWS_61="The account's own policies say who, and the condition what else he has to show."
        ),
    )


def _policy(title: str, environment: Environment, statements: Sequence[Statement]) -> iam.ManagedPolicy:
    return iam.ManagedPolicy(
        f"{title}Policy", Path=role_path(environment), PolicyDocument=document(*statements)
    )


def _publish_statements(inputs: EnvironmentInputs) -> list[Statement]:
    environment = inputs.environment
    key_arn = output(inputs.network.name, NetworkStack.SECURITY, "DataKeyArn")
    return [
        allow(["s3:ListBucket"], [bucket_arn(environment.config_bucket), asset_arn(environment, "bundles")]),
        allow(
            ["s3:GetObject", "s3:PutObject"],
            [bucket_arn(environment.config_bucket, "*"), asset_arn(environment, "bundles", "*")],
        ),
        allow(["s3:ListBucket"], [asset_arn(environment, "web")]),
        allow(["s3:DeleteObject", "s3:PutObject"], [asset_arn(environment, "web", "*")]),
        use_key(key_arn, environment, ["s3"]),
        # A lock is released by deleting it.
        allow(["s3:DeleteObject"], [bucket_arn(environment.config_bucket, "locks/*")]),
        allow(["ssm:GetParameter"], _public_parameters(environment)),
    ]


def _watch_statements(environment: Environment) -> list[Statement]:
    return [
        allow_everywhere(
            [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeInstanceRefreshes",
                "autoscaling:DescribeScalingActivities",
                "cloudwatch:GetMetricData",
                "cloudwatch:GetMetricStatistics",
                "cloudwatch:ListMetrics",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstances",
                "elasticloadbalancing:DescribeLoadBalancers",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ]
        ),
        allow(["cloudwatch:DescribeAlarms"], [arn(environment, "cloudwatch", "alarm:*")]),
        allow(
            ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
            [arn(environment, "sqs", f"slipway-{environment.name}-{each}") for each in WATCHED_QUEUES],
        ),
        allow(
            ["logs:FilterLogEvents", "logs:GetLogEvents"],
            [arn(environment, "logs", f"log-group:/aws/lambda/slipway-{environment.name}-image-variants:*")],
        ),
        allow(["ssm:GetParameter"], _public_parameters(environment)),
    ]


def _public_parameters(environment: Environment) -> list[str]:
    """Return the parameters that say what runs; all others may be secret."""
    fleets = [parameter_arn(environment, f"{fleet}/ami") for fleet in sorted(environment.fleets)]
    return [*fleets, parameter_arn(environment, "*/release")]
