# SPDX-License-Identifier: Apache-2.0
"""Queues, topics, the function, alarms and the budget of an environment."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from stacks import functions, operations, queues
from tests.unit.stacks.environment_templates import (
    ENVIRONMENTS,
    PROJECT,
    inputs,
    properties,
    resolved,
    resources,
    template,
)
from tests.unit.stacks.policy_evaluation import is_allowed

UPLOADS = "arn:aws:s3:::slipway-dev-uploads-444455556666"
CONTENT = "arn:aws:s3:::slipway-dev-content-444455556666"
ORIGINALS = "arn:aws:s3:::slipway-dev-originals-444455556666"
LOGS = "arn:aws:logs:us-east-1:444455556666:log-group"


def changed(module: Any, **changes: Any) -> dict[str, Any]:
    """Return the resources of a stack of dev with these keys of its file changed."""
    given = inputs("dev")
    environment = given.environment.model_copy(update=changes)
    found: dict[str, Any] = json.loads(module.synthesise(replace(given, environment=environment)).body())
    return found["Resources"]


def test_a_job_that_fails_too_often_is_put_aside() -> None:
    assert resolved(properties("dev", "queues", "JobsQueue")) == {
        "QueueName": "slipway-dev-jobs",
        "KmsMasterKeyId": "<slipway-nonproduction-security.DataKeyArn>",
        "VisibilityTimeout": 120,
        "ReceiveMessageWaitTimeSeconds": 20,
        "MessageRetentionPeriod": 345_600,
        "RedrivePolicy": {"deadLetterTargetArn": "<DeadLetterQueue.Arn>", "maxReceiveCount": 5},
    }
    assert properties("dev", "queues", "DeadLetterQueue")["MessageRetentionPeriod"] == 1_209_600


def test_alarms_and_the_budget_may_alert_and_nobody_else() -> None:
    topics = {
        title: resolved(properties("dev", "queues", f"{title}Policy")["PolicyDocument"]["Statement"])
        for title in ("AlertsTopic", "EventsTopic")
    }
    publishers = {
        title: [each["Principal"] for each in statements if each["Effect"] == "Allow"]
        for title, statements in topics.items()
    }
    assert publishers == {
        "AlertsTopic": [{"Service": "cloudwatch.amazonaws.com"}, {"Service": "budgets.amazonaws.com"}],
        "EventsTopic": [],
    }


def test_each_address_gets_alerts_whatever_becomes_of_the_others() -> None:
    two = changed(queues, alert_emails=("a@example.com", "b@example.com"))
    one = changed(queues, alert_emails=("b@example.com",))
    mails = {title: each for title, each in two.items() if each["Type"] == "AWS::SNS::Subscription"}
    assert sorted(each["Properties"]["Endpoint"] for each in mails.values()) == [
        "a@example.com",
        "b@example.com",
    ]
    assert {title: each for title, each in one.items() if each["Type"] == "AWS::SNS::Subscription"} == {
        title: each for title, each in mails.items() if each["Properties"]["Endpoint"] == "b@example.com"
    }
    assert resources("dev", "queues", "AWS::SNS::Subscription") == {}


def test_the_function_is_told_where_things_go() -> None:
    function = resolved(properties("dev", "functions", "ImageVariants"))
    assert function["Environment"] == {
        "Variables": {
            "CONTENT_BUCKET": "slipway-dev-content-444455556666",
            "ORIGINALS_BUCKET": "slipway-dev-originals-444455556666",
            "SIZES": '{"large":1600,"small":640,"thumb":160}',
            "QUALITY": "82",
            "MAX_MEGAPIXELS": "80",
            "DEAD_LETTER_QUEUE_URL": "<ImageVariantsDeadLetterQueue>",
        }
    }
    assert function["Code"] == {
        "S3Bucket": "<slipway-dev-state.BundlesBucketName>",
        "S3Key": "functions/image_variants/0123.zip",
    }


def test_the_handler_is_where_the_function_has_it() -> None:
    module, function = functions.HANDLER.rsplit(".", 1)
    path = "functions/" + module.replace(".", "/") + ".py"
    source = (PROJECT / path).read_text()
    assert f"\ndef {function}(" in source


# action, resource, whether the function may
TABLE = [
    ("s3:GetObject", f"{UPLOADS}/a.jpg", True),
    ("s3:ListBucket", UPLOADS, True),
    ("s3:PutObject", f"{UPLOADS}/a.jpg", False),
    ("s3:DeleteObject", f"{UPLOADS}/a.jpg", False),
    ("s3:PutObject", f"{CONTENT}/variants/a.jpg/thumb.webp", True),
    ("s3:PutObject", f"{CONTENT}/index.html", False),
    ("s3:GetObject", f"{CONTENT}/variants/a.jpg/thumb.webp", False),
    ("s3:PutObject", f"{ORIGINALS}/originals/a.jpg", True),
    ("s3:GetObject", f"{ORIGINALS}/originals/a.jpg", False),
    ("s3:DeleteObject", f"{ORIGINALS}/originals/a.jpg", False),
    ("s3:PutObject", "arn:aws:s3:::slipway-test-content-444455556666/variants/a", False),
    ("sqs:SendMessage", "<ImageVariantsDeadLetterQueue.Arn>", True),
    ("sqs:ReceiveMessage", "<ImageVariantsDeadLetterQueue.Arn>", False),
    ("logs:PutLogEvents", f"{LOGS}:/aws/lambda/slipway-dev-image-variants:log-stream:1", True),
    ("logs:CreateLogGroup", f"{LOGS}:/aws/lambda/slipway-dev-image-variants", False),
    ("logs:PutLogEvents", f"{LOGS}:/aws/lambda/slipway-test-image-variants:log-stream:1", False),
    ("ssm:GetParameter", "arn:aws:ssm:us-east-1:444455556666:parameter/slipway/dev/api/SECRET", False),
    ("kms:Decrypt", "<slipway-nonproduction-security.DataKeyArn>", False),
]


@pytest.mark.parametrize(("action", "resource", "expected"), TABLE, ids=str)
def test_the_function_may_do_what_it_is_for(action: str, resource: str, expected: bool) -> None:
    (policy,) = resolved(properties("dev", "functions", "ImageVariantsRole")["Policies"])
    assert is_allowed(policy["PolicyDocument"]["Statement"], action, resource) is expected


def test_the_function_is_called_by_its_own_bucket_only_and_given_up_after_three_times() -> None:
    assert resolved(properties("dev", "functions", "ImageVariantsUploads")) == {
        "FunctionName": "<ImageVariants>",
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": UPLOADS,
        "SourceAccount": "444455556666",
    }
    assert resolved(properties("dev", "functions", "ImageVariantsRetries")) == {
        "FunctionName": "<ImageVariants>",
        "Qualifier": "$LATEST",
        "MaximumRetryAttempts": 2,
        "DestinationConfig": {"OnFailure": {"Destination": "<ImageVariantsDeadLetterQueue.Arn>"}},
    }


def test_the_functions_log_is_there_before_it_and_goes_in_time() -> None:
    group = properties("dev", "functions", "ImageVariantsLogs")
    assert (group["LogGroupName"], group["RetentionInDays"]) == (
        "/aws/lambda/slipway-dev-image-variants",
        365,
    )
    assert template("dev", "functions")["Resources"]["ImageVariants"]["DependsOn"] == ["ImageVariantsLogs"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_alarm_is_told_to_the_environments_topic(environment: str) -> None:
    alarms = resources(environment, "operations", "AWS::CloudWatch::Alarm")
    assert set(alarms) == {
        "ApiTooFew",
        "BastionTooFew",
        "DeadImages",
        "DeadJobs",
        "FunctionErrors",
        "FunctionThrottles",
        "OldJobs",
        "ServerErrors",
        "UnhealthyTargets",
        "WorkerTooFew",
    }
    topic = f"<slipway-{environment}-queues.AlertsTopicArn>"
    for alarm in alarms.values():
        found = resolved(alarm["Properties"])
        assert (found["AlarmActions"], found["OKActions"]) == ([topic], [topic])


def test_a_fleet_below_its_lower_limit_alarms_even_when_nothing_is_reported() -> None:
    assert resolved(properties("qa", "operations", "ApiTooFew")) == {
        "AlarmName": "slipway-qa-ApiTooFew",
        "AlarmDescription": "Fewer than 2 machines of api are in service.",
        "Namespace": "AWS/AutoScaling",
        "MetricName": "GroupInServiceInstances",
        "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "<slipway-qa-fleets.ApiGroupName>"}],
        "Statistic": "Minimum",
        "Period": 60,
        "EvaluationPeriods": 5,
        "ComparisonOperator": "LessThanThreshold",
        "Threshold": 2,
        "TreatMissingData": "breaching",
        "AlarmActions": ["<slipway-qa-queues.AlertsTopicArn>"],
        "OKActions": ["<slipway-qa-queues.AlertsTopicArn>"],
    }


def test_a_dead_job_alarms_at_once() -> None:
    alarm = resolved(properties("dev", "operations", "DeadJobs"))
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "<slipway-dev-queues.DeadLetterQueueName>"}]
    assert (alarm["ComparisonOperator"], alarm["Threshold"], alarm["EvaluationPeriods"]) == (
        "GreaterThanThreshold",
        0,
        1,
    )


def test_a_budget_counts_what_carries_the_environments_tag() -> None:
    budget = resolved(properties("dev", "operations", "Budget"))
    assert budget["Budget"] == {
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": 300, "Unit": "USD"},
        "CostFilters": {"TagKeyValue": ["user:slipway:environment$dev"]},
    }
    notified = [each["Notification"] for each in budget["NotificationsWithSubscribers"]]
    assert [(each["NotificationType"], each["Threshold"]) for each in notified] == [
        ("ACTUAL", 80),
        ("ACTUAL", 100),
        ("FORECASTED", 100),
    ]


def test_without_a_limit_there_is_no_budget() -> None:
    assert "Budget" not in changed(operations, budget_usd=None)
