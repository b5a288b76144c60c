# SPDX-License-Identifier: Apache-2.0
"""The resource types of Backup and of Budgets go round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
ROLE = "arn:aws:iam::123456789012:role/backup"
TAGS = {"a": "b", "z": "y"}


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    """Return what handlers work with."""
    yield from handler_calls()


@pytest.fixture(name="vault", scope="module")
def fixture_vault(call: Call) -> Iterator[str]:
    """Return the name of a vault."""
    with made(call, "AWS::Backup::BackupVault", {"BackupVaultName": "shared"}) as vault:
        yield vault.physical_id


def _plan(vault: str, **more: Any) -> dict[str, Any]:
    rule = {
        "RuleName": "daily",
        "TargetBackupVault": vault,
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "ScheduleExpressionTimezone": "Etc/UTC",
        "StartWindowMinutes": 60,
        "CompletionWindowMinutes": 180,
        "EnableContinuousBackup": False,
        "Lifecycle": {"DeleteAfterDays": 35},
        "RecoveryPointTags": {"kept": "yes"},
    }
    return {"BackupPlanName": "daily", "BackupPlanRule": [rule | more]}


def test_a_vault_goes_round(call: Call) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*"}]}
    given = {
        "BackupVaultName": "vault",
        "EncryptionKeyArn": KEY,
        "AccessPolicy": policy,
        "BackupVaultTags": TAGS,
        "LockConfiguration": {"MinRetentionDays": 7, "MaxRetentionDays": 365},
        "Notifications": {"BackupVaultEvents": ["BACKUP_JOB_FAILED"], "SNSTopicArn": TOPIC},
    }
    changes = (
        {"LockConfiguration": {"MinRetentionDays": 14}, "BackupVaultTags": {"a": "c"}},
        {name: REMOVED for name in ("AccessPolicy", "LockConfiguration", "Notifications", "BackupVaultTags")},
    )
    travel(call, Trip("AWS::Backup::BackupVault", given, changes))


def test_a_plan_goes_round(call: Call, vault: str) -> None:
    given = {"BackupPlan": _plan(vault), "BackupPlanTags": TAGS}
    changes = (
        {"BackupPlan": _plan(vault, Lifecycle={"MoveToColdStorageAfterDays": 30, "DeleteAfterDays": 365})},
        {"BackupPlanTags": REMOVED},
    )
    travel(call, Trip("AWS::Backup::BackupPlan", given, changes))


def test_a_selection_goes_round(call: Call, vault: str) -> None:
    with made(call, "AWS::Backup::BackupPlan", {"BackupPlan": _plan(vault)}) as plan:
        selection = {
            "SelectionName": "databases",
            "IamRoleArn": ROLE,
            "Resources": ["arn:aws:rds:*:*:cluster:*"],
            "ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "a", "ConditionValue": "b"}],
        }
        given = {"BackupPlanId": plan.physical_id, "BackupSelection": selection}
        travel(call, Trip("AWS::Backup::BackupSelection", given))
        with (
            made(call, "AWS::Backup::BackupSelection", given),
            pytest.raises(ClientError, match="selections must be deleted prior"),
        ):
            handlers()["AWS::Backup::BackupPlan"].delete(call, plan.physical_id, {})


def test_a_plan_names_a_vault_that_exists(call: Call) -> None:
    with pytest.raises(ClientError, match="Backup vault none does not exist"):
        handlers()["AWS::Backup::BackupPlan"].create(call, {"BackupPlan": _plan("none")})


def test_a_budget_goes_round(call: Call) -> None:
    given = {
        "Budget": {
            "BudgetName": "monthly",
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": 1500, "Unit": "USD"},
            "CostFilters": {"TagKeyValue": ["user:slipway:environment$production"]},
        },
        "NotificationsWithSubscribers": [
            {
                "Notification": {
                    "ComparisonOperator": "GREATER_THAN",
                    "NotificationType": kind,
                    "Threshold": threshold,
                    "ThresholdType": "PERCENTAGE",
                },
                "Subscribers": [{"SubscriptionType": "EMAIL", "Address": "ops@example.com"}],
            }
            for kind, threshold in (("ACTUAL", 80), ("FORECASTED", 100))
        ],
        "ResourceTags": [{"Key": "a", "Value": "b"}],
    }
    limit = given["Budget"] | {"BudgetLimit": {"Amount": 2000.5, "Unit": "USD"}}  # type: ignore[operator]
    travel(call, Trip("AWS::Budgets::Budget", given, ({"Budget": limit}, {"ResourceTags": REMOVED})))
