# SPDX-License-Identifier: Apache-2.0
"""Stacks, their changes and events: what is decided of them without asking anybody."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.config.scope import load_scope
from orchestrator.domain.change_set import Change, Effect, changes_between, unannounced
from orchestrator.domain.stack import Health, dependency_order, health, kept_by_deletion, stack_policy
from orchestrator.domain.stack_event import STACK_TYPE, StackEvent, finished_resources, root_causes
from orchestrator.errors import ConfigError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": 1}}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("CREATE_COMPLETE", Health.SOUND),
        ("UPDATE_ROLLBACK_COMPLETE", Health.SOUND),
        ("REVIEW_IN_PROGRESS", Health.STILLBORN),
        ("ROLLBACK_COMPLETE", Health.STILLBORN),
        ("CREATE_IN_PROGRESS", Health.BUSY),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Health.BUSY),
        ("UPDATE_ROLLBACK_FAILED", Health.STUCK),
        ("DELETE_FAILED", Health.STUCK),
        ("SOMETHING_NEW", Health.STUCK),
    ],
)
def test_a_status_says_what_can_be_done(status: str, expected: Health) -> None:
    assert health(status) is expected


def test_stacks_come_after_those_they_depend_on() -> None:
    assert dependency_order({"c": ["b", "elsewhere"], "b": ["a"], "a": []}) == ("a", "b", "c")


def test_templates_are_compared_by_resource_and_property() -> None:
    before = {
        "Resources": {
            "Same": QUEUE,
            "Gone": {**QUEUE, "DeletionPolicy": "Retain"},
            "Other": QUEUE,
            "Kind": QUEUE,
        }
    }
    after = {
        "Resources": {
            "Same": QUEUE,
            "Other": {"Type": "AWS::SQS::Queue", "Properties": {"Fifo": True}, "DeletionPolicy": "Retain"},
            "Kind": {"Type": "AWS::SNS::Topic"},
            "New": QUEUE,
        }
    }
    assert changes_between(before, after) == (
        Change(
            Effect.CHANGED, "Other", "AWS::SQS::Queue", properties=("DelaySeconds", "Fifo", "DeletionPolicy")
        ),
        Change(Effect.REPLACED, "Kind", "AWS::SNS::Topic", properties=("Type",)),
        Change(Effect.ADDED, "New", "AWS::SQS::Queue"),
        Change(Effect.REMOVED, "Gone", "AWS::SQS::Queue", is_kept=True),
    )


def test_a_loss_that_was_shown_is_no_surprise() -> None:
    shown = [Change(Effect.REPLACED, "A", "AWS::EC2::VPC"), Change(Effect.CHANGED, "B", "AWS::EC2::VPC")]
    found = [
        *shown[:1],
        Change(Effect.REPLACED, "B", "AWS::EC2::VPC"),
        Change(Effect.ADDED, "C", "AWS::EC2::VPC"),
    ]
    assert [each.change.logical_id for each in unannounced("s", shown, found)] == ["B"]


def test_a_stack_without_data_needs_no_policy() -> None:
    assert stack_policy({"Resources": {"Vpc": {"Type": "AWS::EC2::VPC"}}}) is None


def test_what_stays_is_told_by_its_deletion_policy() -> None:
    body = {
        "Resources": {
            name: {**QUEUE, "DeletionPolicy": policy}
            for name, policy in (
                ("A", "Retain"),
                ("B", "Delete"),
                ("C", "RetainExceptOnCreate"),
                ("D", "Snapshot"),
            )
        }
    }
    assert [str(each) for each in kept_by_deletion(body)] == ["A", "C", "D as a snapshot"]


def event(
    number: int, logical_id: str, status: str, reason: str = "", type_name: str = "AWS::SQS::Queue"
) -> StackEvent:
    return StackEvent(str(number), logical_id, type_name, status, NOW, reason=reason)


def test_the_cause_of_a_failure_is_not_what_was_cancelled_for_it() -> None:
    events = (
        event(1, "stack", "CREATE_IN_PROGRESS", type_name=STACK_TYPE),
        event(2, "A", "CREATE_COMPLETE"),
        event(3, "B", "CREATE_FAILED", "Access denied"),
        event(4, "C", "CREATE_FAILED", "Resource creation cancelled"),
        event(5, "stack", "CREATE_FAILED", type_name=STACK_TYPE),
    )
    assert [each.line() for each in root_causes(events)] == [
        "CREATE_FAILED B (AWS::SQS::Queue): Access denied"
    ]
    assert [each.logical_id for each in root_causes(events[3:])] == ["C"]
    assert finished_resources(events) == 1


def write(project: Path, **environments: str) -> None:
    for folder in ("networks", "environments"):
        (project / folder).mkdir()
    (project / "networks/lab.yaml").write_text(
        "cidr: 10.0.0.0/16\nzones: [a]\n"
        "subnets: {public: [10.0.0.0/24], application: [10.0.1.0/24], data: [10.0.2.0/24]}\n"
    )
    for name, more in environments.items():
        (project / f"environments/{name}.yaml").write_text(
            f"network: lab\nregion: us-east-1\nconfig_bucket: slipway-{name}-config\n{more}\n"
        )


def test_a_network_is_where_its_environments_are(tmp_path: Path) -> None:
    write(tmp_path, qa='account_id: "111122223333"', dev='account_id: "111122223333"\nprotected: true')
    scope = load_scope(tmp_path, "lab")
    assert (list(scope.environments), scope.first.name, scope.is_protected) == (["dev", "qa"], "dev", True)


def test_environments_of_a_network_must_be_in_one_place(tmp_path: Path) -> None:
    write(tmp_path, qa='account_id: "111122223333"', dev='account_id: "444455556666"')
    with pytest.raises(ConfigError) as caught:
        load_scope(tmp_path, "lab")
    assert caught.value.problems == (
        "environments/qa.yaml: account_id: 111122223333 differs from 444455556666 of environments/dev.yaml, "
        "in the same network lab",
    )


def test_a_network_without_environments_is_nowhere(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ConfigError, match="no environment is in this network"):
        load_scope(tmp_path, "lab")
