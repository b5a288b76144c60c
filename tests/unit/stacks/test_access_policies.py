# SPDX-License-Identifier: Apache-2.0
"""What operators, CI and monitoring of an environment may and may not do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.stacks.environment_templates import ENVIRONMENTS, inputs, properties, resolved
from tests.unit.stacks.policy_evaluation import Context, is_allowed

ROLES = ("operators", "ci", "monitoring")


def statements(environment: str, role: str) -> list[dict[str, Any]]:
    """Return all that a role is allowed."""
    attached = properties(environment, "access", f"{role.capitalize()}Role")["ManagedPolicyArns"]
    return [
        statement
        for policy in attached
        for statement in resolved(properties(environment, "access", policy["Ref"]))["PolicyDocument"][
            "Statement"
        ]
    ]


def may(environment: str, role: str, action: str, resource: str, context: Context | None = None) -> bool:
    """Tell whether a role may do something; {e} in the resource is its own environment."""
    of = inputs(environment).environment
    full = resource.format(
        here=f"{of.region}:{of.account_id}",
        e=environment,
        account=of.account_id,
        region=of.region,
        n=inputs(environment).network.name,
        config=of.config_bucket,
    )
    return is_allowed(statements(environment, role), action, full, context)


PARAMETER = "arn:aws:ssm:{here}:parameter/slipway"
GROUP = "arn:aws:autoscaling:{here}:autoScalingGroup:1:autoScalingGroupName/slipway"
SSM = "arn:aws:ssm:us-east-1:444455556666:parameter/slipway"
RECORDS = "arn:aws:logs:{here}:log-group:/slipway/{e}/access"
LOGS = "arn:aws:s3:::slipway-{e}-logs-{account}"
USERS = "arn:aws:rds-db:{here}:dbuser:<slipway-{n}-database.ClusterResourceId>"
OPERATORS, CI, MONITORING = {"operators"}, {"ci"}, {"monitoring"}
# action, resource -> the roles that may, without any tag or context
TABLE = {
    ("ssm:GetParameter", PARAMETER + "/{e}/api/SECRET"): OPERATORS,
    ("ssm:PutParameter", PARAMETER + "/{e}/api/SECRET"): OPERATORS,
    ("ssm:GetParametersByPath", PARAMETER + "/{e}"): OPERATORS,
    ("ssm:GetParameter", PARAMETER + "/{e}/host-keys/api/i-1"): OPERATORS,
    ("ssm:GetParameter", PARAMETER + "/{e}/api/ami"): OPERATORS | CI | MONITORING,
    ("ssm:PutParameter", PARAMETER + "/{e}/api/ami"): OPERATORS,
    ("ssm:GetParameter", PARAMETER + "/{e}/levels/release"): OPERATORS | CI | MONITORING,
    ("ssm:PutParameter", PARAMETER + "/{e}/levels/release"): OPERATORS,
    ("ssm:GetParameter", "arn:aws:ssm:{here}:parameter/other"): set(),
    ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:{here}:secret:slipway/{e}/x"): OPERATORS,
    ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:{here}:secret:rds!cluster-1"): set(),
    ("secretsmanager:GetSecretValue", "<slipway-{n}-database.MasterSecretArn>"): OPERATORS,
    ("secretsmanager:PutSecretValue", "<slipway-{n}-database.MasterSecretArn>"): set(),
    ("rds-db:connect", USERS + "/{e}_operator"): OPERATORS,
    ("rds-db:connect", USERS + "/{e}_api"): set(),
    ("rds-db:connect", USERS + "/slipway"): set(),
    ("rds:DescribeDBClusters", "arn:aws:rds:{here}:cluster:slipway-{n}"): OPERATORS,
    ("rds:DescribeDBClusters", "arn:aws:rds:{here}:cluster:other"): set(),
    ("rds:FailoverDBCluster", "arn:aws:rds:{here}:cluster:slipway-{n}"): set(),
    ("kms:Sign", "<Authority.Arn>"): OPERATORS,
    ("kms:GetPublicKey", "<Authority.Arn>"): OPERATORS,
    ("kms:DescribeKey", "<Authority.Arn>"): OPERATORS,
    ("kms:ScheduleKeyDeletion", "<Authority.Arn>"): set(),
    ("kms:PutKeyPolicy", "<Authority.Arn>"): set(),
    ("kms:Sign", "<slipway-{n}-security.DataKeyArn>"): set(),
    ("kms:UpdateAlias", "arn:aws:kms:{here}:alias/slipway-{e}-ssh"): set(),
    ("ssm:GetParametersByPath", PARAMETER + "/{e}/host-keys/api"): OPERATORS,
    ("ssm:PutParameter", PARAMETER + "/{e}/ssh/keys/ann"): OPERATORS,
    ("ssm:DeleteParameters", PARAMETER + "/{e}/ssh/blocked/ann"): OPERATORS,
    ("ssm:GetParametersByPath", PARAMETER + "/{e}/ssh/keys"): OPERATORS,
    ("cloudformation:DescribeStacks", "arn:aws:cloudformation:{here}:stack/slipway-{n}-database/1"): (
        OPERATORS
    ),
    ("logs:CreateLogStream", RECORDS + ":log-stream:operators/ann"): OPERATORS,
    ("logs:PutLogEvents", RECORDS + ":log-stream:operators/ann"): OPERATORS,
    ("logs:PutLogEvents", RECORDS + ":log-stream:api/i-1"): set(),
    ("logs:FilterLogEvents", RECORDS + ":*"): OPERATORS,
    ("logs:GetLogEvents", RECORDS + ":log-stream:api/i-1"): OPERATORS,
    ("logs:DeleteLogStream", RECORDS + ":log-stream:operators/ann"): set(),
    ("logs:DeleteLogGroup", RECORDS + ":*"): set(),
    ("s3:PutObject", LOGS + "/access/2030/01/02/operators-s-began.json"): OPERATORS,
    ("s3:PutObject", LOGS + "/access/2030/01/02/i-1-s.json"): set(),
    ("s3:GetObject", LOGS + "/access/2030/01/02/i-1-s.json"): OPERATORS,
    ("s3:DeleteObject", LOGS + "/access/2030/01/02/i-1-s.json"): set(),
    ("s3:GetObject", LOGS + "/s3/config/x"): set(),
    ("s3:ListBucket", LOGS): set(),
    ("s3:PutObject", "arn:aws:s3:::{config}/locks/api.json"): OPERATORS | CI,
    ("s3:DeleteObject", "arn:aws:s3:::{config}/locks/api.json"): OPERATORS | CI,
    ("s3:DeleteObject", "arn:aws:s3:::{config}/manifests/api.json"): OPERATORS,
    ("s3:DeleteObjectVersion", "arn:aws:s3:::{config}/manifests/api.json"): set(),
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-bundles-{account}/levels/1.tar.zst"): OPERATORS | CI,
    ("s3:DeleteObject", "arn:aws:s3:::slipway-{e}-bundles-{account}/levels/1.tar.zst"): OPERATORS,
    ("s3:GetObject", "arn:aws:s3:::slipway-{e}-uploads-{account}/a.jpg"): set(),
    ("s3:GetObject", "arn:aws:s3:::slipway-{e}-originals-{account}/originals/a.jpg"): set(),
    ("s3:PutBucketPolicy", "arn:aws:s3:::{config}"): set(),
    ("autoscaling:StartInstanceRefresh", GROUP + "-{e}-api"): OPERATORS,
    ("autoscaling:RollbackInstanceRefresh", GROUP + "-{e}-api"): OPERATORS,
    ("autoscaling:StartInstanceRefresh", GROUP + "-{e}-unknown"): set(),
    ("autoscaling:UpdateAutoScalingGroup", GROUP + "-{e}-api"): set(),
    ("autoscaling:DeleteAutoScalingGroup", GROUP + "-{e}-api"): set(),
    ("elasticloadbalancing:DeregisterTargets", "<slipway-{n}-balancer.{E}TargetGroupArn>"): OPERATORS,
    ("elasticloadbalancing:ModifyListener", "*"): set(),
    ("ec2:TerminateInstances", "arn:aws:ec2:{here}:instance/i-1"): set(),
    ("autoscaling:CancelInstanceRefresh", GROUP + "-{e}-api"): OPERATORS,
    ("autoscaling:SuspendProcesses", GROUP + "-{e}-api"): OPERATORS,
    ("autoscaling:ResumeProcesses", GROUP + "-{e}-api"): OPERATORS,
    ("autoscaling:DescribeInstanceRefreshes", "*"): OPERATORS | MONITORING,
    ("autoscaling:DescribeLifecycleHooks", "*"): OPERATORS,
    ("ec2:DescribeInstanceTypes", "*"): OPERATORS,
    ("elasticloadbalancing:DescribeAccountLimits", "*"): OPERATORS,
    ("elasticloadbalancing:DescribeTargetHealth", "*"): OPERATORS | MONITORING,
    ("servicequotas:GetServiceQuota", "*"): OPERATORS,
    ("servicequotas:RequestServiceQuotaIncrease", "arn:aws:servicequotas:{here}:ec2/L-1216C47A"): set(),
    ("iam:GetInstanceProfile", "arn:aws:iam::{account}:instance-profile/slipway/{e}/api"): OPERATORS,
    ("iam:GetInstanceProfile", "arn:aws:iam::{account}:instance-profile/other"): set(),
    ("cloudformation:DescribeStacks", "arn:aws:cloudformation:{here}:stack/slipway-{e}-fleets/1"): OPERATORS,
    ("cloudformation:ListChangeSets", "arn:aws:cloudformation:{here}:stack/slipway-{n}-balancer/1"): (
        OPERATORS
    ),
    ("cloudformation:ExecuteChangeSet", "arn:aws:cloudformation:{here}:stack/slipway-{e}-fleets/1"): set(),
    ("sns:Publish", "arn:aws:sns:{here}:slipway-{e}-alerts"): OPERATORS,
    ("sns:Publish", "arn:aws:sns:{here}:slipway-{e}-events"): set(),
    ("s3:PutObject", "arn:aws:s3:::{config}/records/rollout/api/rollout-1.json"): OPERATORS | CI,
    ("ec2:GetConsoleOutput", "arn:aws:ec2:{here}:instance/i-1"): set(),
    ("ec2:ModifyLaunchTemplate", "arn:aws:ec2:{here}:launch-template/lt-1"): set(),
    ("ec2:CreateLaunchTemplateVersion", "arn:aws:ec2:{here}:launch-template/lt-1"): set(),
    ("ec2:RunInstances", "arn:aws:ec2:{here}:instance/*"): set(),
    ("ec2:CreateTags", "arn:aws:ec2:{here}:instance/i-1"): set(),
    ("ec2:DescribeInstances", "*"): OPERATORS | CI | MONITORING,
    ("ec2:ModifyInstanceAttribute", "arn:aws:ec2:{here}:instance/i-1"): set(),
    ("cloudwatch:GetMetricData", "*"): OPERATORS | MONITORING,
    (
        "logs:FilterLogEvents",
        "arn:aws:logs:{here}:log-group:/aws/lambda/slipway-{e}-image-variants:*",
    ): OPERATORS | MONITORING,
    ("logs:FilterLogEvents", "arn:aws:logs:{here}:log-group:/other:*"): set(),
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-web-{account}/index.html"): CI,
    ("s3:GetObject", "arn:aws:s3:::slipway-{e}-web-{account}/index.html"): set(),
    ("s3:PutObject", "arn:aws:s3:::slipway-{e}-content-{account}/variants/a"): set(),
    ("sqs:GetQueueAttributes", "arn:aws:sqs:{here}:slipway-{e}-jobs"): OPERATORS | MONITORING,
    ("sqs:ReceiveMessage", "arn:aws:sqs:{here}:slipway-{e}-jobs-dead"): OPERATORS,
    ("sqs:ReceiveMessage", "arn:aws:sqs:{here}:slipway-{e}-image-variants-dead"): OPERATORS,
    ("sqs:StartMessageMoveTask", "arn:aws:sqs:{here}:slipway-{e}-jobs-dead"): OPERATORS,
    ("sqs:SendMessage", "arn:aws:sqs:{here}:slipway-{e}-jobs"): OPERATORS,
    ("sqs:PurgeQueue", "arn:aws:sqs:{here}:slipway-{e}-jobs-dead"): set(),
    ("sqs:ReceiveMessage", "arn:aws:sqs:{here}:slipway-{e}-jobs"): set(),
    ("cloudformation:DeleteStack", "arn:aws:cloudformation:{here}:stack/slipway-{e}-state/1"): set(),
    ("iam:CreateUser", "*"): set(),
    ("iam:PutRolePolicy", "arn:aws:iam::{account}:role/slipway/{e}/any"): set(),
    ("kms:Decrypt", "<slipway-{n}-security.DataKeyArn>"): set(),
    ("kms:ScheduleKeyDeletion", "<slipway-{n}-security.DataKeyArn>"): set(),
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(("action", "resource"), TABLE, ids=lambda value: value)
def test_a_role_may_do_what_its_work_needs(environment: str, action: str, resource: str) -> None:
    own = resource.replace("{E}", environment.capitalize())
    assert {role for role in ROLES if may(environment, role, action, own)} == TABLE[(action, resource)]


def tagged(**tags: str) -> dict[str, str]:
    """Return the context of a request about something with these tags."""
    return {f"aws:ResourceTag/slipway:{name}": value for name, value in tags.items()}


# role, action, resource, context, whether allowed
BY_CONTEXT = {
    "a template of the environment": (
        "operators",
        "ec2:CreateLaunchTemplateVersion",
        "arn:aws:ec2:{here}:launch-template/lt-1",
        tagged(environment="dev"),
        True,
    ),
    "the default version of a template of the environment": (
        "operators",
        "ec2:ModifyLaunchTemplate",
        "arn:aws:ec2:{here}:launch-template/lt-1",
        tagged(environment="dev"),
        True,
    ),
    "the default version of another environment's template": (
        "operators",
        "ec2:ModifyLaunchTemplate",
        "arn:aws:ec2:{here}:launch-template/lt-1",
        tagged(environment="test"),
        False,
    ),
    "the console of a machine of the environment": (
        "operators",
        "ec2:GetConsoleOutput",
        "arn:aws:ec2:{here}:instance/i-1",
        tagged(environment="dev"),
        True,
    ),
    "the console of another environment's machine": (
        "operators",
        "ec2:GetConsoleOutput",
        "arn:aws:ec2:{here}:instance/i-1",
        tagged(environment="test"),
        False,
    ),
    "a template of another environment": (
        "operators",
        "ec2:CreateLaunchTemplateVersion",
        "arn:aws:ec2:{here}:launch-template/lt-1",
        tagged(environment="test"),
        False,
    ),
    "a launch from another environment's template": (
        "operators",
        "ec2:RunInstances",
        "arn:aws:ec2:{here}:launch-template/lt-1",
        tagged(environment="test"),
        False,
    ),
    "a machine as its template says": (
        "operators",
        "ec2:RunInstances",
        "arn:aws:ec2:{here}:instance/*",
        {
            "ec2:IsLaunchTemplateResource": "true",
            "ec2:LaunchTemplate": "arn:aws:ec2:us-east-1:444455556666:launch-template/lt-1",
        },
        True,
    ),
    "a role of the environment for a machine": (
        "operators",
        "iam:PassRole",
        "arn:aws:iam::{account}:role/slipway/{e}/slipway-dev-fleets-ApiRole-1",
        {"iam:PassedToService": "ec2.amazonaws.com"},
        True,
    ),
    "a role of another environment for a machine": (
        "operators",
        "iam:PassRole",
        "arn:aws:iam::{account}:role/slipway/test/slipway-test-fleets-ApiRole-1",
        {"iam:PassedToService": "ec2.amazonaws.com"},
        False,
    ),
    "a role of the environment for a function": (
        "operators",
        "iam:PassRole",
        "arn:aws:iam::{account}:role/slipway/{e}/slipway-dev-fleets-ApiRole-1",
        {"iam:PassedToService": "lambda.amazonaws.com"},
        False,
    ),
    "ci passes no role": (
        "ci",
        "iam:PassRole",
        "arn:aws:iam::{account}:role/slipway/{e}/slipway-dev-fleets-ApiRole-1",
        {"iam:PassedToService": "ec2.amazonaws.com"},
        False,
    ),
    "a bake's own machine": (
        "ci",
        "ec2:RunInstances",
        "arn:aws:ec2:{here}:instance/*",
        {"aws:RequestTag/slipway:run": "r1"},
        True,
    ),
    "the end of a bake's machine": (
        "ci",
        "ec2:TerminateInstances",
        "arn:aws:ec2:{here}:instance/i-1",
        tagged(run="r1"),
        True,
    ),
    "the end of a fleet's machine": (
        "ci",
        "ec2:TerminateInstances",
        "arn:aws:ec2:{here}:instance/i-1",
        tagged(environment="dev", fleet="api"),
        False,
    ),
    "a port of a group that is no bake's": (
        "ci",
        "ec2:AuthorizeSecurityGroupIngress",
        "arn:aws:ec2:{here}:security-group/sg-1",
        tagged(environment="dev"),
        False,
    ),
    "an image of ours": (
        "ci",
        "ec2:DeregisterImage",
        "arn:aws:ec2:{region}::image/ami-1",
        tagged(**{"class": "api"}),
        True,
    ),
    "an image of others": ("ci", "ec2:DeregisterImage", "arn:aws:ec2:{region}::image/ami-1", {}, False),
    "a secret string of the environment": (
        "operators",
        "kms:Encrypt",
        "<slipway-nonproduction-security.DataKeyArn>",
        {
            "kms:ViaService": "ssm.us-east-1.amazonaws.com",
            "kms:EncryptionContext:PARAMETER_ARN": f"{SSM}/dev/api/X",
        },
        True,
    ),
    "the records of who went through doors": (
        "operators",
        "s3:ListBucket",
        "arn:aws:s3:::slipway-{e}-logs-{account}",
        {"s3:prefix": "access/2030/"},
        True,
    ),
    "other logs": (
        "operators",
        "s3:ListBucket",
        "arn:aws:s3:::slipway-{e}-logs-{account}",
        {"s3:prefix": "s3/"},
        False,
    ),
    "the password of the database's master": (
        "operators",
        "kms:Decrypt",
        "<slipway-nonproduction-security.DataKeyArn>",
        {
            "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com",
            "kms:EncryptionContext:SecretARN": "<slipway-nonproduction-database.MasterSecretArn>",
        },
        True,
    ),
    "another secret of the network's key": (
        "operators",
        "kms:Decrypt",
        "<slipway-nonproduction-security.DataKeyArn>",
        {
            "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com",
            "kms:EncryptionContext:SecretARN": "arn:aws:secretsmanager:us-east-1:444455556666:secret:other",
        },
        False,
    ),
    "a secret string of another environment": (
        "operators",
        "kms:Decrypt",
        "<slipway-nonproduction-security.DataKeyArn>",
        {
            "kms:ViaService": "ssm.us-east-1.amazonaws.com",
            "kms:EncryptionContext:PARAMETER_ARN": f"{SSM}/qa/api/X",
        },
        False,
    ),
}


@pytest.mark.parametrize(
    ("role", "action", "resource", "context", "expected"), BY_CONTEXT.values(), ids=BY_CONTEXT
)
def test_tags_and_conditions_decide(
    role: str, action: str, resource: str, context: Context, expected: bool
) -> None:
    assert may("dev", role, action, resource, context) is expected


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("own", ENVIRONMENTS)
@pytest.mark.parametrize("other", ENVIRONMENTS)
def test_a_role_reaches_no_other_environment(own: str, other: str, role: str) -> None:
    """Even where both are in one account: what operators are allowed at home is asked for of the other."""
    if own == other:
        return
    of = inputs(own).environment
    here = f"{of.region}:{of.account_id}"
    database = f"slipway-{inputs(own).network.name}-database"
    requests = [
        ("ssm:GetParameter", f"arn:aws:ssm:{here}:parameter/slipway/{{}}/api/SECRET"),
        ("ssm:PutParameter", f"arn:aws:ssm:{here}:parameter/slipway/{{}}/api/ami"),
        ("ssm:GetParameter", f"arn:aws:ssm:{here}:parameter/slipway/{{}}/levels/release"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{here}:secret:slipway/{{}}/x"),
        ("logs:FilterLogEvents", f"arn:aws:logs:{here}:log-group:/slipway/{{}}/access:*"),
        ("logs:PutLogEvents", f"arn:aws:logs:{here}:log-group:/slipway/{{}}/access:log-stream:operators/a"),
        ("s3:GetObject", f"arn:aws:s3:::slipway-{{}}-logs-{of.account_id}/access/i-1.json"),
        (
            "rds-db:connect",
            f"arn:aws:rds-db:{here}:dbuser:<{database}.ClusterResourceId>/{{}}_operator",
        ),
        ("s3:PutObject", f"arn:aws:s3:::slipway-{{}}-bundles-{of.account_id}/levels/1.tar.zst"),
        (
            "autoscaling:StartInstanceRefresh",
            f"arn:aws:autoscaling:{here}:autoScalingGroup:1:autoScalingGroupName/slipway-{{}}-api",
        ),
    ]
    granted = statements(own, role)
    assert not [each for each in requests if is_allowed(granted, each[0], each[1].format(other))]
    if role == "operators":
        assert all(is_allowed(granted, action, resource.format(own)) for action, resource in requests)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_role_asks_for_more_than_being_in_the_account(environment: str) -> None:
    conditions = {
        "operators": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        "ci": {"StringEquals": {"aws:PrincipalTag/slipway:access": "ci"}},
        "monitoring": {"StringEquals": {"aws:PrincipalTag/slipway:access": "monitoring"}},
    }
    account_id = inputs(environment).environment.account_id
    for role, condition in conditions.items():
        assert properties(environment, "access", f"{role.capitalize()}Role")["AssumeRolePolicyDocument"] == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
                    "Action": "sts:AssumeRole",
                    "Condition": condition,
                }
            ],
        }


def test_policies_fit_into_the_limits_of_iam() -> None:
    """A policy has 6,144 characters at most, a role ten policies.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    for environment in ENVIRONMENTS:
        for role in ROLES:
            attached = properties(environment, "access", f"{role.capitalize()}Role")["ManagedPolicyArns"]
            assert len(attached) <= 10
            for policy in attached:
                document = resolved(properties(environment, "access", policy["Ref"]))["PolicyDocument"]
                assert len("".join(str(document).split())) <= 6144
