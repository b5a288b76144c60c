# SPDX-License-Identifier: Apache-2.0
"""Where the logs of a network go: a bucket for the balancer's and the trail's, a log group for its flows."""

from __future__ import annotations

from typing import Any

from troposphere import GetAtt, Ref, Template
from troposphere.ec2 import FlowLog
from troposphere.iam import Policy, Role
from troposphere.s3 import LifecycleRule

from stacks.buckets import bucket, bucket_policy, lifecycle
from stacks.inputs import NetworkInputs
from stacks.keys import trail_arn
from stacks.parts import add_log_group, skip_checks
from stacks.policies import bucket_arn
from stacks.policy import Statement, allow, document, of_account, service, trust
from stacks.stack import bucket_name

BALANCER_PREFIX, TRAIL_PREFIX, CONFIG_PREFIX = "balancer", "trail", "config"
NONCURRENT_DAYS = 30
FLOW_INTERVAL_S = 60


def logs_bucket_name(inputs: NetworkInputs) -> str:
    """Return the bucket's name; an environment of the same name has a bucket for logs as well."""
    return bucket_name(inputs.name, "network-logs", inputs.account_id)


def add_bucket(template: Template, inputs: NetworkInputs) -> None:
    """Add the bucket, and let the balancers and the trail of this account write to it."""
    expire = LifecycleRule(Id="expire", Status="Enabled", ExpirationInDays=inputs.network.log_days)
    logs = template.add_resource(
        bucket(
            "LogsBucket",
            logs_bucket_name(inputs),
            LifecycleConfiguration=lifecycle(NONCURRENT_DAYS, expire),
            Metadata=skip_checks(
                CKV_AWS_18="This is where access logs go; a log of it would log itself.",
                CKV_AWS_145="Balancers write to buckets with S3's own encryption only.",
            ),
        )
    )
    template.add_resource(bucket_policy(logs, *_writers(inputs)))


def _writers(inputs: NetworkInputs) -> list[Statement]:
    """Return who may write where.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
    """
    name, account_id = logs_bucket_name(inputs), inputs.account_id
    trail = {"StringEquals": {"aws:SourceArn": trail_arn(inputs)}}
    return [
        # No condition key is promised for it; it writes an account's logs below that account's number only.
        allow(
            ["s3:PutObject"],
            [bucket_arn(name, f"{BALANCER_PREFIX}/AWSLogs/{account_id}/*")],
            principal=service("logdelivery.elasticloadbalancing"),
        ),
        allow(["s3:GetBucketAcl"], [bucket_arn(name)], principal=service("cloudtrail"), condition=trail),
        allow(
            ["s3:PutObject"],
            [bucket_arn(name, f"{TRAIL_PREFIX}/AWSLogs/{account_id}/*")],
            principal=service("cloudtrail"),
            condition=trail,
        ),
    ]


def add_flow_log(template: Template, inputs: NetworkInputs, *, vpc_id: Any) -> None:
    """Log every flow of the VPC, also those that were refused."""
    key_arn = GetAtt("LogsKey", "Arn")
    name = f"/slipway/{inputs.name}/flows"
    group = add_log_group(template, "FlowLogGroup", name=name, days=inputs.network.log_days, key_arn=key_arn)
    role = template.add_resource(_flow_role(inputs, name))
    template.add_resource(
        FlowLog(
            "FlowLog",
            ResourceId=vpc_id,
            ResourceType="VPC",
            TrafficType="ALL",
            MaxAggregationInterval=FLOW_INTERVAL_S,
            LogDestinationType="cloud-watch-logs",
            LogGroupName=Ref(group),
            DeliverLogsPermissionArn=GetAtt(role, "Arn"),
        )
    )


def _flow_role(inputs: NetworkInputs, group: str) -> Role:
    """Return the role that writes to one log group.

    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    """
    here = f"{inputs.region}:{inputs.account_id}"
    flow_logs = {"ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{here}:vpc-flow-log/*"}}
    write = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    return Role(
        "FlowLogRole",
        AssumeRolePolicyDocument=trust(service("vpc-flow-logs"), of_account(inputs.account_id, **flow_logs)),
        Policies=[
            Policy(
                PolicyName="write-flows",
                PolicyDocument=document(
                    allow(write, [f"arn:aws:logs:{here}:log-group:{group}:*"]),
                    allow(["logs:DescribeLogGroups"], [f"arn:aws:logs:{here}:log-group:*"]),
                ),
            )
        ],
    )
