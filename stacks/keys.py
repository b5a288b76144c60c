# SPDX-License-Identifier: Apache-2.0
"""The KMS keys of a network: one for data, one for logs. Who may use them is for IAM policies to say.

A key's policy is about its key only, which is what the `*` of its resources means.
https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
"""

from __future__ import annotations

from typing import Any

from troposphere import Ref, Template
from troposphere.kms import Alias, Key

from stacks.inputs import NetworkInputs
from stacks.policy import Statement, account, allow, document, of_account, service

USE = ("kms:Decrypt", "kms:GenerateDataKey*")
THIS_KEY = ("*",)
PENDING_DAYS = 30


def trail_arn(inputs: NetworkInputs) -> str:
    """Return the trail that the audit stack makes."""
    return f"arn:aws:cloudtrail:{inputs.region}:{inputs.account_id}:trail/slipway-{inputs.name}"


def add(template: Template, inputs: NetworkInputs) -> None:
    """Add both keys, each with an alias for people."""
    _add_key(template, inputs, "data", statements=_data_statements(inputs))
    _add_key(template, inputs, "logs", statements=_logs_statements(inputs))


def _add_key(template: Template, inputs: NetworkInputs, purpose: str, *, statements: list[Statement]) -> None:
    key = Key(
        f"{purpose.capitalize()}Key",
        Description=f"slipway {inputs.name}: {purpose}",
        EnableKeyRotation=True,
        PendingWindowInDays=PENDING_DAYS,
        KeyPolicy=document(
            allow(["kms:*"], THIS_KEY, principal=account(inputs.account_id)),
            *statements,
        ),
        # Snapshots and retained logs can be read with it only.
        DeletionPolicy="RetainExceptOnCreate",
        UpdateReplacePolicy="Retain",
    )
    template.add_resource(key)
    template.add_resource(
        Alias(
            f"{purpose.capitalize()}KeyAlias",
            AliasName=f"alias/slipway-{inputs.name}-{purpose}",
            TargetKeyId=Ref(key),
        )
    )


def _data_statements(inputs: NetworkInputs) -> list[Statement]:
    """Admit the services that write to encrypted topics and queues, and the CDN that reads buckets."""
    own = of_account(inputs.account_id)
    distributions = f"arn:aws:cloudfront::{inputs.account_id}:distribution/*"
    publishers = [allow(USE, THIS_KEY, principal=service(name), condition=own) for name in _PUBLISHERS]
    from_distribution = {"ArnLike": {"aws:SourceArn": distributions}}
    return [
        *publishers,
        allow(["kms:Decrypt"], THIS_KEY, principal=service("cloudfront"), condition=from_distribution),
    ]


# Alarms and budgets publish to topics, topics to queues, buckets to either.
_PUBLISHERS = ("cloudwatch", "budgets", "sns", "s3")


def _logs_statements(inputs: NetworkInputs) -> list[Statement]:
    groups = f"arn:aws:logs:{inputs.region}:{inputs.account_id}:log-group:*"
    trails = f"arn:aws:cloudtrail:*:{inputs.account_id}:trail/*"
    by_trail: dict[str, Any] = {
        "StringEquals": {"aws:SourceArn": trail_arn(inputs)},
        "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trails},
    }
    return [
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        allow(
            ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            THIS_KEY,
            principal=service(f"logs.{inputs.region}"),
            condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        ),
        # https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
        allow(["kms:GenerateDataKey*"], THIS_KEY, principal=service("cloudtrail"), condition=by_trail),
        allow(
            ["kms:DescribeKey"],
            THIS_KEY,
            principal=service("cloudtrail"),
            condition={"StringEquals": {"aws:SourceArn": trail_arn(inputs)}},
        ),
    ]
