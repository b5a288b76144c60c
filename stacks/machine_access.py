# SPDX-License-Identifier: Apache-2.0
"""What a fleet's machines may do.

A machine may do what its class needs in its environment: read the parameters of its class and which release
to run, fetch that release, publish the host keys it made, answer the hooks of its own group, and learn whom
to let in and tell who was there. Balanced fleets put uploads and jobs; fleets behind the queue take jobs and
read content. Nothing more.
"""

from __future__ import annotations

from typing import Any

from troposphere import Sub

from orchestrator.config.fleets import Fleet
from orchestrator.domain.door import access_log_group
from stacks.inputs import EnvironmentInputs
from stacks.policies import (
    MACHINES_RECORDS,
    arn,
    asset_arn,
    log_group_arn,
    parameter_arn,
    use_key,
    use_key_for_parameters,
)
from stacks.policy import Statement, allow
from stacks.stack import EnvironmentStack, NetworkStack, output


def group_name(environment: str, fleet: str) -> str:
    """Return the name of a fleet's Auto Scaling group, fixed so that its machines' role can name it."""
    return f"slipway-{environment}-{fleet}"


def database_user(environment: str, server_class: str) -> str:
    """Return the database user of a class, who logs in by IAM: environments may share the cluster."""
    return f"{environment}_{server_class}"


def reaches_database(inputs: EnvironmentInputs, fleet: Fleet) -> bool:
    """Tell whether a fleet's machines reach a database: it wants to, and the network has one."""
    return fleet.uses_database and inputs.network.network.database is not None


def statements(inputs: EnvironmentInputs, name: str) -> list[Statement]:
    """Return all that a fleet's machines may do."""
    fleet = inputs.environment.fleets[name]
    statements = [
        *_start_statements(inputs, name, fleet),
        *_door_statements(inputs, name),
        *_key_statements(inputs, fleet),
    ]
    if fleet.uses_queue:
        statements += _asking_statements(inputs) if fleet.is_balanced else _working_statements(inputs)
    if reaches_database(inputs, fleet):
        statements.append(_login_statement(inputs, fleet))
    return statements


def _start_statements(inputs: EnvironmentInputs, name: str, fleet: Fleet) -> list[Statement]:
    environment = inputs.environment
    group = group_name(environment.name, name)
    return [
        allow(
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            [
                parameter_arn(environment, fleet.server_class),
                parameter_arn(environment, f"{fleet.server_class}/*"),
            ],
        ),
        allow(["ssm:GetParameter"], [parameter_arn(environment, "*/release")]),
        # Host keys are published once. Nobody who takes over a machine can put his in another's place.
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policy-conditions.html
        allow(
            ["ssm:PutParameter"],
            [parameter_arn(environment, f"host-keys/{name}/*")],
            condition={"StringNotEquals": {"ssm:Overwrite": "true"}},
        ),
        allow(["s3:GetObject"], [asset_arn(environment, "bundles", "*")]),
        allow(
            ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            [arn(environment, "autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{group}")],
        ),
    ]


def _door_statements(inputs: EnvironmentInputs, name: str) -> list[Statement]:
    """Let machines know whom to let in, and tell who was there.

    Records can be added and not read. A fleet has streams of its own: what it tells, no other can have told.
    """
    environment = inputs.environment
    authority = output(environment.name, EnvironmentStack.ACCESS, "AuthorityArn")
    group = access_log_group(environment.name)
    return [
        allow(["kms:GetPublicKey"], [authority]),
        allow(
            ["ssm:GetParameters", "ssm:GetParametersByPath"],
            [parameter_arn(environment, "ssh"), parameter_arn(environment, "ssh/*")],
        ),
        # So a machine sees that what is published of it is its own.
        allow(["ssm:GetParameter"], [parameter_arn(environment, f"host-keys/{name}/*")]),
        # https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html
        allow(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [log_group_arn(environment, group, f"log-stream:{name}/*")],
        ),
        allow(["s3:PutObject"], [asset_arn(environment, "logs", MACHINES_RECORDS)]),
    ]


def _key_statements(inputs: EnvironmentInputs, fleet: Fleet) -> list[Statement]:
    key_arn = _security(inputs, "DataKeyArn")
    statements = [use_key_for_parameters(key_arn, inputs.environment, [f"{fleet.server_class}/*"])]
    if fleet.uses_queue:
        statements.append(use_key(key_arn, inputs.environment, ["s3", "sqs", "sns"]))
    return statements


def _asking_statements(inputs: EnvironmentInputs) -> list[Statement]:
    return [
        allow(["s3:PutObject"], [asset_arn(inputs.environment, "uploads", "*")]),
        allow(["sqs:GetQueueUrl", "sqs:SendMessage"], [_queues(inputs, "JobsQueueArn")]),
        _publish_statement(inputs),
    ]


def _working_statements(inputs: EnvironmentInputs) -> list[Statement]:
    return [
        allow(["s3:GetObject"], [asset_arn(inputs.environment, "content", "*")]),
        allow(
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
            ],
            [_queues(inputs, "JobsQueueArn")],
        ),
        _publish_statement(inputs),
    ]


def _publish_statement(inputs: EnvironmentInputs) -> Statement:
    return allow(["sns:Publish"], [_queues(inputs, "EventsTopicArn")])


def _login_statement(inputs: EnvironmentInputs, fleet: Fleet) -> Statement:
    """Let machines log in to the database with a token instead of a password.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
    """
    user = database_user(inputs.environment.name, fleet.server_class)
    cluster = output(inputs.network.name, NetworkStack.DATABASE, "ClusterResourceId")
    return allow(
        ["rds-db:connect"],
        [Sub(arn(inputs.environment, "rds-db", f"dbuser:${{Cluster}}/{user}"), Cluster=cluster)],
    )


def _security(inputs: EnvironmentInputs, name: str) -> Any:
    return output(inputs.network.name, NetworkStack.SECURITY, name)


def _queues(inputs: EnvironmentInputs, name: str) -> Any:
    return output(inputs.environment.name, EnvironmentStack.QUEUES, name)
