# SPDX-License-Identifier: Apache-2.0
"""What must hold for everything in an environment, whatever it is for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.unit.stacks.environment_templates import (
    ENVIRONMENTS,
    MODULES,
    every_resource,
    inputs,
    properties,
    resolved,
    resources,
    template,
)
from tests.unit.stacks.policy_evaluation import is_allowed, listed
from tests.unit.stacks.policy_statements import statements

# AWS's service authorization reference names no resource for these.
WITHOUT_RESOURCE = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeInstanceRefreshes",
    "autoscaling:DescribeLifecycleHooks",
    "autoscaling:DescribePolicies",
    "autoscaling:DescribeScalingActivities",
    "cloudwatch:GetMetricData",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:ListMetrics",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeRegions",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
    "elasticloadbalancing:DescribeAccountLimits",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
    "ssm:DescribeParameters",
}
SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|(?i:password|passwd|api_?key|token)\W{1,4}\w{6,}"
)


EVERY_STATEMENT = [
    (where, statement)
    for where, resource in every_resource()
    # A key's policy can be about its key only.
    if resource["Type"] != "AWS::KMS::Key"
    for statement in statements(resolved(resource["Properties"]))
]


def test_there_are_policies_to_look_at() -> None:
    assert len(EVERY_STATEMENT) > 50 * len(ENVIRONMENTS)


def test_what_is_allowed_is_named_action_by_action() -> None:
    broad = [
        (where, action)
        for where, statement in EVERY_STATEMENT
        for action in listed(statement["Action"])
        if statement["Effect"] == "Allow" and "*" in action
    ]
    assert broad == []


def test_all_resources_are_meant_only_where_aws_names_none() -> None:
    everywhere = {
        (where, action)
        for where, statement in EVERY_STATEMENT
        for action in listed(statement["Action"])
        if statement["Effect"] == "Allow" and "*" in listed(statement.get("Resource", []))
    }
    assert {each for each in everywhere if each[1] not in WITHOUT_RESOURCE} == set()
    assert {where.split("/", 1)[1] for where, _ in everywhere} == {
        "access/BakePolicy",
        "access/OperateFleetsPolicy",
        "access/RollOutPolicy",
        "access/WatchPolicy",
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_one_key_signs_and_leaves_all_else_to_policies_of_roles(environment: str) -> None:
    found = {
        f"{kind}/{title}": each["Properties"]
        for kind in MODULES
        for title, each in resources(environment, kind, "AWS::KMS::Key").items()
    }
    account_id = inputs(environment).environment.account_id
    statement = {
        "Effect": "Allow",
        "Action": ["kms:*"],
        "Resource": ["*"],
        "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
    }
    assert found == {
        "access/Authority": {
            "Description": f"slipway {environment}: signs certificates of people",
            "KeySpec": "RSA_4096",
            "KeyUsage": "SIGN_VERIFY",
            "PendingWindowInDays": 7,
            "KeyPolicy": {"Version": "2012-10-17", "Statement": [statement]},
        }
    }
    assert properties(environment, "access", "AuthorityAlias") == {
        "AliasName": f"alias/slipway-{environment}-ssh",
        "TargetKeyId": {"Ref": "Authority"},
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_records_of_who_went_through_doors_are_kept_for_the_environments_time(environment: str) -> None:
    assert resolved(properties(environment, "access", "AccessLogGroup")) == {
        "LogGroupName": f"/slipway/{environment}/access",
        "RetentionInDays": 365,
        "KmsKeyId": f"<slipway-{inputs(environment).network.name}-security.LogsKeyArn>",
    }


def test_nobody_is_allowed_anything_by_a_policy_that_names_everybody() -> None:
    open_to_all = [
        where
        for where, statement in EVERY_STATEMENT
        if statement["Effect"] == "Allow" and "*" in json.dumps(statement.get("Principal", {}))
    ]
    assert open_to_all == []


def test_a_service_acts_for_this_account_only() -> None:
    """Whoever assumes a role is in the account: only resources' policies can be reached from another."""
    loose = [
        where
        for where, statement in EVERY_STATEMENT
        if "Service" in statement.get("Principal", {})
        and statement["Action"] != "sts:AssumeRole"
        and not {"aws:SourceAccount", "aws:SourceArn"} & _condition_keys(statement)
    ]
    assert loose == []


def _condition_keys(statement: dict[str, Any]) -> set[str]:
    return {key for tests in statement.get("Condition", {}).values() for key in tests}


def _policies_by_owner(environment: str) -> dict[str, list[dict[str, Any]]]:
    """Return the statements of all policies of buckets, queues and topics, by what they belong to."""
    owners = {
        "AWS::S3::BucketPolicy": "Bucket",
        "AWS::SQS::QueuePolicy": "Queues",
        "AWS::SNS::TopicPolicy": "Topics",
    }
    found = {}
    for kind in MODULES:
        for resource in resources(environment, kind).values():
            if resource["Type"] in owners:
                for owner in listed(resource["Properties"][owners[resource["Type"]]]):
                    found[_full_name(environment, kind, owner)] = resolved(
                        resource["Properties"]["PolicyDocument"]["Statement"]
                    )
    return found


def _full_name(environment: str, kind: str, reference: dict[str, Any]) -> str:
    if "Ref" in reference:
        return f"{kind}/{reference['Ref']}"
    output = reference["Fn::GetStackOutput"]
    other = output["StackName"].removeprefix(f"slipway-{environment}-")
    return f"{other}/{output['OutputName'].removesuffix('Name')}"


def _arn(environment: str, resource: dict[str, Any]) -> str:
    of = inputs(environment).environment
    here = f"{of.region}:{of.account_id}"
    found = resource["Properties"]
    return {
        "AWS::S3::Bucket": f"arn:aws:s3:::{found.get('BucketName')}",
        "AWS::SQS::Queue": f"arn:aws:sqs:{here}:{found.get('QueueName')}",
        "AWS::SNS::Topic": f"arn:aws:sns:{here}:{found.get('TopicName')}",
    }[resource["Type"]]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_buckets_queues_and_topics_refuse_plain_text(environment: str) -> None:
    policies = _policies_by_owner(environment)
    attempts = {
        "AWS::S3::Bucket": "s3:PutObject",
        "AWS::SQS::Queue": "sqs:SendMessage",
        "AWS::SNS::Topic": "sns:Publish",
    }
    plain, over_tls = {"aws:SecureTransport": "false"}, {"aws:SecureTransport": "true"}
    for kind in MODULES:
        for title, resource in resources(environment, kind).items():
            if resource["Type"] not in attempts:
                continue
            owner_may_all = {"Effect": "Allow", "Action": "*", "Resource": "*"}
            given = [*policies[f"{kind}/{title}"], owner_may_all]
            action, arn = attempts[resource["Type"]], _arn(environment, resource)
            assert is_allowed(given, action, arn, over_tls), title
            assert not is_allowed(given, action, arn, plain), title
            if resource["Type"] == "AWS::S3::Bucket":
                assert not is_allowed(given, "s3:GetObject", f"{arn}/any/key", plain), title


def test_buckets_are_private_versioned_and_stay() -> None:
    for where, bucket in every_resource("AWS::S3::Bucket"):
        found = bucket["Properties"]
        assert found["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }, where
        assert found["VersioningConfiguration"] == {"Status": "Enabled"}, where
        policies = (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"])
        assert policies == ("RetainExceptOnCreate", "Retain"), where


def test_buckets_know_no_acls_but_where_cloudfront_writes() -> None:
    with_acls = {
        where.split("/", 1)[1]
        for where, bucket in every_resource("AWS::S3::Bucket")
        if bucket["Properties"]["OwnershipControls"]
        != {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    }
    assert with_acls == {"cdn/LogsBucket"}


def test_what_users_own_is_encrypted_with_the_networks_key() -> None:
    encrypted = {
        where.split("/", 1)[1]
        for where, bucket in every_resource("AWS::S3::Bucket")
        if "KMSMasterKeyID" in json.dumps(bucket["Properties"]["BucketEncryption"])
    }
    assert encrypted == {f"storage/{name}Bucket" for name in ("Uploads", "Originals", "Content", "Web")}
    for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic"):
        for where, each in every_resource(kind):
            assert resolved(each["Properties"]["KmsMasterKeyId"]).endswith("-security.DataKeyArn>"), where
    for where, group in every_resource("AWS::Logs::LogGroup"):
        assert resolved(group["Properties"]["KmsKeyId"]).endswith("-security.LogsKeyArn>"), where


def test_access_to_buckets_is_logged_but_not_to_the_logs() -> None:
    unlogged = {
        where.split("/", 1)[1]
        for where, bucket in every_resource("AWS::S3::Bucket")
        if "LoggingConfiguration" not in bucket["Properties"]
    }
    assert unlogged == {"state/LogsBucket", "cdn/LogsBucket"}


def test_machines_ask_for_their_metadata_with_a_token_and_from_nowhere_else() -> None:
    for where, launch_template in every_resource("AWS::EC2::LaunchTemplate"):
        assert launch_template["Properties"]["LaunchTemplateData"]["MetadataOptions"] == {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
            "InstanceMetadataTags": "enabled",
        }, where


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_the_bastion_has_a_public_address(environment: str) -> None:
    public = {
        title: [
            interface["AssociatePublicIpAddress"]
            for interface in each["Properties"]["LaunchTemplateData"]["NetworkInterfaces"]
        ]
        for title, each in resources(environment, "fleets", "AWS::EC2::LaunchTemplate").items()
    }
    assert public == {"ApiTemplate": [False], "BastionTemplate": [True], "WorkerTemplate": [False]}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_roots_are_encrypted_unless_the_environment_says_otherwise(environment: str) -> None:
    data = properties(environment, "fleets", "ApiTemplate")["LaunchTemplateData"]
    volume = {
        "VolumeType": "gp3",
        "VolumeSize": 16,
        "Encrypted": environment != "sandbox",
        "DeleteOnTermination": True,
    }
    assert data["BlockDeviceMappings"] == [{"DeviceName": "/dev/xvda", "Ebs": volume}]


def test_nothing_says_how_many_machines_run() -> None:
    for environment in ENVIRONMENTS:
        assert "DesiredCapacity" not in json.dumps(template(environment, "fleets"))


def test_no_template_holds_a_secret() -> None:
    found = {
        f"{environment}/{kind}": SECRET.findall(json.dumps(template(environment, kind)))
        for environment in ENVIRONMENTS
        for kind in MODULES
    }
    assert {where: hits for where, hits in found.items() if hits} == {}


def test_what_a_checker_is_told_to_skip_has_a_reason() -> None:
    skipped = {
        (where.split("/", 1)[1], skip["id"]): skip["comment"]
        for where, resource in every_resource()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }
    assert min(len(reason) for reason in skipped.values()) > 20
    assert set(skipped) == {
        ("access/CiRole", "CKV_AWS_61"),
        ("access/MonitoringRole", "CKV_AWS_61"),
        ("access/OperatorsRole", "CKV_AWS_61"),
        ("cdn/Distribution", "CKV_AWS_68"),
        ("cdn/Distribution", "CKV_AWS_174"),
        ("cdn/LogsBucket", "CKV_AWS_18"),
        ("fleets/BastionTemplate", "CKV_AWS_88"),
        ("functions/ImageVariants", "CKV_AWS_116"),
        ("functions/ImageVariants", "CKV_AWS_117"),
        ("functions/ImageVariants", "CKV_AWS_173"),
        ("state/LogsBucket", "CKV_AWS_18"),
    }
