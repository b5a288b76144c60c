# SPDX-License-Identifier: Apache-2.0
"""What a machine may and may not do, by its class and environment."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.stacks.environment_templates import ENVIRONMENTS, inputs, properties, resolved
from tests.unit.stacks.policy_evaluation import Context, is_allowed

CLASSES = ("bastion", "api", "worker")
EVERY = set(CLASSES)
AUTHORITY = "<slipway-{e}-access.AuthorityArn>"
RECORDS = "arn:aws:logs:{here}:log-group:/slipway/{e}/access"


def statements(environment: str, fleet: str) -> list[dict[str, Any]]:
    """Return all that a fleet's machines are allowed."""
    role = properties(environment, "fleets", f"{fleet.capitalize()}Role")
    assert "ManagedPolicyArns" not in role
    return [each for policy in role["Policies"] for each in resolved(policy["PolicyDocument"]["Statement"])]


def may(environment: str, fleet: str, action: str, resource: str, context: Context | None = None) -> bool:
    """Tell whether a fleet's machines may do something; {e} in the resource is their own environment."""
    of = inputs(environment).environment
    full = resource.format(
        here=f"{of.region}:{of.account_id}",
        e=environment,
        account=of.account_id,
        n=inputs(environment).network.name,
        parameter=f"arn:aws:ssm:{of.region}:{of.account_id}:parameter/slipway",
        group=f"arn:aws:autoscaling:{of.region}:{of.account_id}:autoScalingGroup:1:autoScalingGroupName/slipway",
    )
    return is_allowed(statements(environment, fleet), action, full, context)


# action, resource -> the classes that may
TABLE = {
    ("ssm:GetParametersByPath", "{parameter}/{e}/api"): {"api"},
    ("ssm:GetParametersByPath", "{parameter}/{e}/api/"): {"api"},
    ("ssm:GetParameter", "{parameter}/{e}/api/DATABASE_PASSWORD"): {"api"},
    ("ssm:GetParameter", "{parameter}/{e}/worker/DATABASE_PASSWORD"): {"worker"},
    ("ssm:GetParameter", "{parameter}/{e}/bastion/ca"): {"bastion"},
    ("ssm:GetParameter", "{parameter}/{e}/apiary/x"): set(),
    ("ssm:GetParametersByPath", "{parameter}/{e}"): set(),
    ("ssm:GetParametersByPath", "{parameter}/{e}/"): set(),
    ("ssm:GetParameter", "{parameter}/{e}/levels/release"): {"bastion", "api", "worker"},
    ("ssm:GetParameters", "{parameter}/{e}/levels/release"): set(),
    ("ssm:PutParameter", "{parameter}/{e}/levels/release"): set(),
    ("ssm:PutParameter", "{parameter}/{e}/api/ami"): set(),
    ("ssm:PutParameter", "{parameter}/{e}/api/DATABASE_PASSWORD"): set(),
    ("ssm:DeleteParameter", "{parameter}/{e}/host-keys/api/i-1"): set(),
    ("ssm:PutParameter", "{parameter}/{e}/host-keys/api/i-1"): {"api"},
    ("ssm:PutParameter", "{parameter}/{e}/host-keys/worker/i-1"): {"worker"},
    ("ssm:GetParameter", "{parameter}/{e}/host-keys/worker/i-1"): {"worker"},
    ("ssm:GetParametersByPath", "{parameter}/{e}/host-keys/worker"): set(),
    ("ssm:GetParametersByPath", "{parameter}/{e}/ssh/keys"): EVERY,
    ("ssm:GetParametersByPath", "{parameter}/{e}/ssh"): EVERY,
    ("ssm:GetParameters", "{parameter}/{e}/ssh/blocked/ann"): EVERY,
    ("ssm:PutParameter", "{parameter}/{e}/ssh/keys/ann"): set(),
    ("ssm:DeleteParameters", "{parameter}/{e}/ssh/blocked/ann"): set(),
    ("ssm:GetParameter", "{parameter}/{e}/api/database"): {"api"},
    ("ssm:PutParameter", "{parameter}/{e}/api/database"): set(),
    ("kms:GetPublicKey", AUTHORITY): EVERY,
    ("kms:Sign", AUTHORITY): set(),
    ("kms:PutKeyPolicy", AUTHORITY): set(),
    ("kms:UpdateAlias", "arn:aws:kms:{here}:alias/slipway-{e}-ssh"): set(),
    ("kms:GetPublicKey", "arn:aws:kms:{here}:key/other"): set(),
    ("logs:CreateLogStream", RECORDS + ":log-stream:api/i-1"): {"api"},
    ("logs:PutLogEvents", RECORDS + ":log-stream:bastion/i-1"): {"bastion"},
    ("logs:PutLogEvents", RECORDS + ":log-stream:operators/ann"): set(),
    ("logs:PutLogEvents", "arn:aws:logs:{here}:log-group:/other:log-stream:api/i-1"): set(),
    ("logs:FilterLogEvents", RECORDS + ":*"): set(),
    ("logs:GetLogEvents", RECORDS + ":log-stream:api/i-1"): set(),
    ("logs:DeleteLogStream", RECORDS + ":log-stream:api/i-1"): set(),
    ("logs:PutRetentionPolicy", RECORDS + ":*"): set(),
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-logs-{account}/access/2030/01/02/i-1-s.json"): EVERY,
    ("s3:GetObject", "arn:aws:s3:::slipway-{e}-logs-{account}/access/2030/01/02/i-1-s.json"): set(),
    ("s3:DeleteObject", "arn:aws:s3:::slipway-{e}-logs-{account}/access/2030/01/02/i-1-s.json"): set(),
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-logs-{account}/access/2030/01/02/operators-s.json"): set(),
    ("s3:ListBucket", "arn:aws:s3:::slipway-{e}-logs-{account}"): set(),
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-logs-{account}/s3/config/x"): set(),
    ("s3:GetObject", "arn:aws:s3:::slipway-{e}-bundles-{account}/levels/1.tar.zst"): {
        "bastion",
        "api",
        "worker",
    },
    ("s3:ListBucket", "arn:aws:s3:::slipway-{e}-bundles-{account}"): set(),
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-bundles-{account}/levels/1.tar.zst"): set(),
    ("s3:GetObject", "arn:aws:s3:::slipway-{e}-config-{account}/locks/x.json"): set(),
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-uploads-{account}/a.jpg"): {"api"},
    ("s3:GetObject", "arn:aws:s3:::slipway-{e}-uploads-{account}/a.jpg"): set(),
    ("s3:GetObject", "arn:aws:s3:::slipway-{e}-content-{account}/variants/a.jpg/thumb.webp"): {"worker"},
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-content-{account}/variants/a.jpg/thumb.webp"): set(),
    ("s3:GetObject", "arn:aws:s3:::slipway-{e}-originals-{account}/originals/a.jpg"): set(),
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-web-{account}/index.html"): set(),
    ("sqs:SendMessage", "<slipway-{e}-queues.JobsQueueArn>"): {"api"},
    ("sqs:ReceiveMessage", "<slipway-{e}-queues.JobsQueueArn>"): {"worker"},
    ("sqs:DeleteMessage", "<slipway-{e}-queues.JobsQueueArn>"): {"worker"},
    ("sqs:PurgeQueue", "<slipway-{e}-queues.JobsQueueArn>"): set(),
    ("sqs:ReceiveMessage", "<slipway-{e}-queues.DeadLetterQueueArn>"): set(),
    ("sns:Publish", "<slipway-{e}-queues.EventsTopicArn>"): {"api", "worker"},
    ("sns:Publish", "<slipway-{e}-queues.AlertsTopicArn>"): set(),
    ("autoscaling:CompleteLifecycleAction", "{group}-{e}-api"): {"api"},
    ("autoscaling:RecordLifecycleActionHeartbeat", "{group}-{e}-worker"): {"worker"},
    ("autoscaling:TerminateInstanceInAutoScalingGroup", "{group}-{e}-api"): set(),
    ("rds-db:connect", "arn:aws:rds-db:{here}:dbuser:<slipway-{n}-database.ClusterResourceId>/{e}_api"): {
        "api"
    },
    ("rds-db:connect", "arn:aws:rds-db:{here}:dbuser:<slipway-{n}-database.ClusterResourceId>/admin"): set(),
    ("ec2:DescribeInstances", "*"): set(),
    ("iam:PassRole", "arn:aws:iam::{account}:role/slipway/{e}/any"): set(),
    ("sts:AssumeRole", "arn:aws:iam::{account}:role/slipway/{e}/slipway-{e}-operators"): set(),
    ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:{here}:secret:rds!cluster-1"): set(),
    ("kms:Decrypt", "<slipway-{n}-security.DataKeyArn>"): set(),
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(("action", "resource"), TABLE, ids=lambda value: value)
def test_a_machine_may_do_what_its_class_needs(environment: str, action: str, resource: str) -> None:
    allowed = {each for each in CLASSES if may(environment, each, action, resource)}
    # Without a context: a first request to publish a host key, and the key used for itself.
    assert allowed == TABLE[(action, resource)]


@pytest.mark.parametrize("own", ENVIRONMENTS)
@pytest.mark.parametrize("other", ENVIRONMENTS)
@pytest.mark.parametrize("fleet", CLASSES)
def test_a_machine_reaches_no_other_environment(own: str, other: str, fleet: str) -> None:
    """Even where both are in one account: what would be allowed at home is asked for of the other."""
    if own == other:
        return
    here = inputs(own).environment
    path = f"arn:aws:ssm:{here.region}:{here.account_id}:parameter/slipway"
    group = (
        f"arn:aws:autoscaling:{here.region}:{here.account_id}:autoScalingGroup:1:autoScalingGroupName/slipway"
    )
    account = here.account_id
    logs = f"arn:aws:logs:{here.region}:{account}:log-group"
    requests = {
        ("ssm:GetParameter", f"{path}/{{}}/{fleet}/SECRET"),
        ("ssm:GetParametersByPath", f"{path}/{{}}/{fleet}"),
        ("ssm:GetParameter", f"{path}/{{}}/levels/release"),
        ("ssm:PutParameter", f"{path}/{{}}/host-keys/{fleet}/i-1"),
        ("s3:GetObject", f"arn:aws:s3:::slipway-{{}}-bundles-{account}/levels/1.tar.zst"),
        ("ssm:GetParametersByPath", f"{path}/{{}}/ssh/keys"),
        ("ssm:GetParameter", f"{path}/{{}}/host-keys/{fleet}/i-1"),
        ("kms:GetPublicKey", "<slipway-{}-access.AuthorityArn>"),
        ("logs:PutLogEvents", f"{logs}:/slipway/{{}}/access:log-stream:{fleet}/i-1"),
        ("s3:PutObject", f"arn:aws:s3:::slipway-{{}}-logs-{account}/access/2030/01/02/i-1.json"),
        ("autoscaling:CompleteLifecycleAction", f"{group}-{{}}-{fleet}"),
    }
    granted = statements(own, fleet)
    assert all(is_allowed(granted, action, resource.format(own)) for action, resource in requests)
    assert not [each for each in requests if is_allowed(granted, each[0], each[1].format(other))]


@pytest.mark.parametrize("fleet", CLASSES)
def test_a_host_key_is_published_once(fleet: str) -> None:
    parameter = "{parameter}/{e}/host-keys/" + fleet + "/i-1"
    assert may("dev", fleet, "ssm:PutParameter", parameter, {"ssm:Overwrite": "false"})
    assert not may("dev", fleet, "ssm:PutParameter", parameter, {"ssm:Overwrite": "true"})


@pytest.mark.parametrize(
    ("fleet", "service", "parameter", "expected"),
    [
        ("api", "ssm", "dev/api/SECRET", True),
        ("api", "ssm", "dev/worker/SECRET", False),
        ("api", "ssm", "test/api/SECRET", False),
        ("api", "s3", "", True),
        ("api", "sqs", "", True),
        ("api", "rds", "", False),
        ("worker", "ssm", "dev/worker/SECRET", True),
        ("bastion", "ssm", "dev/bastion/SECRET", True),
        ("bastion", "s3", "", False),
    ],
)
def test_the_shared_key_opens_only_what_is_the_classes_own(
    fleet: str, service: str, parameter: str, expected: bool
) -> None:
    of = inputs("dev").environment
    context = {"kms:ViaService": f"{service}.{of.region}.amazonaws.com"}
    if parameter:
        context["kms:EncryptionContext:PARAMETER_ARN"] = (
            f"arn:aws:ssm:{of.region}:{of.account_id}:parameter/slipway/{parameter}"
        )
    assert (
        may("dev", fleet, "kms:Decrypt", "<slipway-nonproduction-security.DataKeyArn>", context) is expected
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_machines_take_a_fleets_role(environment: str) -> None:
    for fleet in CLASSES:
        role = properties(environment, "fleets", f"{fleet.capitalize()}Role")
        assert role["AssumeRolePolicyDocument"]["Statement"] == [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
        assert role["Path"] == f"/slipway/{environment}/"
