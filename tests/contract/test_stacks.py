# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Stacks: on the fake, and on AWS's API as the local region plays it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from botocore.stub import Stubber

from orchestrator.aws.cloudformation import AwsStacks, is_missing, is_no_change
from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint
from orchestrator.clock import Clock, SystemClock, wait_until
from orchestrator.domain.change_set import Change, ChangeSet, ChangeSetStatus, Effect
from orchestrator.domain.drift import Difference, DriftKind, ResourceDrift
from orchestrator.domain.stack import NetworkStack, StackState, StackTemplate
from orchestrator.domain.stack_event import StackEvent
from orchestrator.errors import AwsError, NotFound
from orchestrator.ports import ChangeSetRequest, Stacks
from sandbox.simulated import SimulatedSubstrate
from tests.contract.conftest import REGION, SESSION
from tests.fakes import FakeClock, FakeStacks
from tests.region.conftest import make_region

T = TypeVar("T")
PATIENCE = timedelta(seconds=20)
NUMBERS = itertools.count(1)
QUEUE, TOPIC = "AWS::SQS::Queue", "AWS::SNS::Topic"


@pytest.fixture(scope="module")
def session() -> Iterator[AwsSession]:
    """Return a way into a region that all tests of this module share, each with stacks of its own."""
    for local in make_region(SimulatedSubstrate()):
        yield AwsSession(Endpoint(REGION, local.endpoint, CredentialSource.LOCAL))


@dataclass
class Harness:
    """Stacks, and what the two kinds of them need done differently."""

    stacks: Stacks
    clock: Clock
    owner: str
    fake: FakeStacks | None = None
    session: AwsSession | None = None

    def template(self, kind: NetworkStack = NetworkStack.NETWORK, **queue: Any) -> StackTemplate:
        """Return a stack of a queue, which tells its delay, and a topic."""
        body = {
            "Resources": {"Jobs": {"Type": QUEUE, "Properties": queue}, "News": {"Type": TOPIC}},
            "Outputs": {"Delay": {"Value": str(queue.get("DelaySeconds", 0))}},
        }
        return StackTemplate(kind, self.owner, json.dumps(body), tags={"slipway:network": self.owner})

    def until(self, fetch: Callable[[], T], done: Callable[[T], bool]) -> T:
        return wait_until(fetch, done, clock=self.clock, timeout=PATIENCE, what="stack", interval_s=0.05)

    def review(self, template: StackTemplate, *, is_new: bool = False) -> ChangeSet:
        """Make a change set and wait for it."""
        request = ChangeSetRequest(f"change-{next(NUMBERS)}", template, is_new=is_new)
        change_set_id = self.stacks.create_change_set(request)
        return self.until(
            lambda: self.stacks.change_set(change_set_id),
            lambda seen: seen.status is not ChangeSetStatus.PENDING,
        )

    def execute(self, change_set: ChangeSet) -> StackState:
        """Do what a change set says and wait for the end."""
        before = self.stacks.events(change_set.stack_id)
        self.stacks.execute_change_set(change_set.change_set_id)
        self.end(change_set.stack_id, before[-1].event_id)
        return self.stacks.get(change_set.stack_id)

    def end(self, stack_id: str, after: str) -> tuple[StackEvent, ...]:
        """Wait for the end of an operation and return its events."""
        return self.until(
            lambda: self.stacks.events(stack_id, after=after),
            lambda seen: bool(seen) and seen[-1].is_of_stack and not seen[-1].status.endswith("_IN_PROGRESS"),
        )

    def create(self, template: StackTemplate) -> StackState:
        return self.execute(self.review(template, is_new=True))


@pytest.fixture(params=["fake", "region"])
def cloud(request: pytest.FixtureRequest, clock: FakeClock) -> Harness:
    owner = f"lab{next(NUMBERS)}"
    if request.param == "fake":
        fake = FakeStacks(clock)
        return Harness(fake, clock, owner, fake=fake)
    session: AwsSession = request.getfixturevalue("session")
    return Harness(AwsStacks(session), SystemClock(), owner, session=session)


class TestStacks:
    def test_a_stack_is_made_by_a_change_set(self, cloud: Harness) -> None:
        template = cloud.template(DelaySeconds=5)
        reviewed = cloud.review(template, is_new=True)
        assert reviewed.status is ChangeSetStatus.READY
        assert sorted(reviewed.changes, key=lambda change: change.logical_id) == [
            Change(Effect.ADDED, "Jobs", QUEUE),
            Change(Effect.ADDED, "News", TOPIC),
        ]
        assert cloud.stacks.get(template.name).status == "REVIEW_IN_PROGRESS"
        state = cloud.execute(reviewed)
        assert (state.name, state.status) == (template.name, "CREATE_COMPLETE")
        assert state.outputs == {"Delay": "5"}
        assert state.tags == template.tags
        assert state.has_termination_protection is False
        assert cloud.stacks.template(template.name) == template.body
        assert state in cloud.stacks.all()

    def test_what_is_not_there_is_not_found(self, cloud: Harness) -> None:
        for ask in (cloud.stacks.get, cloud.stacks.template, cloud.stacks.policy, cloud.stacks.events):
            with pytest.raises(NotFound):
                ask("slipway-nowhere-network")

    def test_events_begin_with_the_operation_and_can_be_had_from_one_on(self, cloud: Harness) -> None:
        state = cloud.create(cloud.template())
        events = cloud.stacks.events(state.stack_id)
        assert (events[0].begins_operation, events[0].status) == (True, "CREATE_IN_PROGRESS")
        assert (events[-1].is_of_stack, events[-1].status) == (True, "CREATE_COMPLETE")
        assert events[-1].physical_id == state.stack_id
        assert {each.logical_id for each in events if each.status == "CREATE_COMPLETE"} == {
            "Jobs",
            "News",
            state.name,
        }
        assert cloud.stacks.events(state.stack_id, after=events[0].event_id) == events[1:]
        assert cloud.stacks.events(state.stack_id, after=events[-1].event_id) == ()

    def test_a_change_in_place_is_told_by_its_property(self, cloud: Harness) -> None:
        before = cloud.create(cloud.template(DelaySeconds=5))
        template = cloud.template(DelaySeconds=6)
        reviewed = cloud.review(template)
        (change,) = reviewed.changes
        assert replace(change, physical_id="") == Change(
            Effect.CHANGED, "Jobs", QUEUE, properties=("DelaySeconds",)
        )
        assert change.physical_id
        state = cloud.execute(reviewed)
        assert (state.status, state.outputs) == ("UPDATE_COMPLETE", {"Delay": "6"})
        assert state.changed_at > before.changed_at
        assert cloud.stacks.events(state.stack_id)[0].status == "UPDATE_IN_PROGRESS"

    def test_a_replacement_and_a_removal_are_told(self, cloud: Harness) -> None:
        cloud.create(cloud.template(QueueName=f"{cloud.owner}-one"))
        if cloud.fake:
            cloud.fake.effects = {"Jobs": Effect.REPLACED}
        template = cloud.template(QueueName=f"{cloud.owner}-two")
        body = {**template.body, "Resources": {"Jobs": template.body["Resources"]["Jobs"]}}
        reviewed = cloud.review(replace(template, text=json.dumps(body)))
        told = sorted((each.effect, each.logical_id, each.properties) for each in reviewed.changes)
        assert told == [(Effect.REMOVED, "News", ()), (Effect.REPLACED, "Jobs", ("QueueName",))]

    def test_nothing_to_change_is_an_empty_change_set(self, cloud: Harness) -> None:
        template = cloud.template()
        cloud.create(template)
        reviewed = cloud.review(template)
        assert (reviewed.status, reviewed.changes) == (ChangeSetStatus.EMPTY, ())
        cloud.stacks.delete_change_set(reviewed.change_set_id)
        with pytest.raises(NotFound):
            cloud.stacks.change_set(reviewed.change_set_id)
        cloud.stacks.delete_change_set(reviewed.change_set_id)

    def test_what_is_read_of_another_stack_changes_with_it(self, cloud: Harness) -> None:
        source = cloud.template(DelaySeconds=1)
        cloud.create(source)
        delay = {"Fn::GetStackOutput": {"StackName": source.name, "OutputName": "Delay"}}
        reader = cloud.template(NetworkStack.SECURITY, DelaySeconds=delay)
        reader = replace(reader, text=json.dumps({"Resources": reader.body["Resources"]}))
        cloud.create(reader)
        assert cloud.review(reader).status is ChangeSetStatus.EMPTY
        cloud.execute(cloud.review(cloud.template(DelaySeconds=2)))
        reviewed = cloud.review(reader)
        assert [(each.logical_id, each.effect, each.properties) for each in reviewed.changes] == [
            ("Jobs", Effect.CHANGED, ("DelaySeconds",))
        ]

    def test_a_failed_creation_is_rolled_back_and_says_why(self, cloud: Harness) -> None:
        if cloud.fake:
            cloud.fake.breaks = {"Jobs": "no such name"}
        state = cloud.create(cloud.template(QueueName="a name with blanks"))
        assert state.status == "ROLLBACK_COMPLETE"
        failures = [each for each in cloud.stacks.events(state.stack_id) if each.is_failure]
        assert [(each.logical_id, each.status) for each in failures] == [("Jobs", "CREATE_FAILED")]
        assert failures[0].reason

    def test_a_deleted_stack_is_known_by_its_id_only(self, cloud: Harness) -> None:
        state = cloud.create(cloud.template())
        after = cloud.stacks.events(state.stack_id)[-1].event_id
        cloud.stacks.delete(state.stack_id)
        assert cloud.end(state.stack_id, after)[-1].status == "DELETE_COMPLETE"
        assert cloud.stacks.get(state.stack_id).status == "DELETE_COMPLETE"
        assert state.name not in {each.name for each in cloud.stacks.all()}
        with pytest.raises(NotFound):
            cloud.stacks.get(state.name)

    def test_a_protected_stack_is_not_deleted(self, cloud: Harness) -> None:
        state = cloud.create(cloud.template())
        cloud.stacks.protect(state.name)
        assert cloud.stacks.get(state.name).has_termination_protection is True
        with pytest.raises(AwsError) as caught:
            cloud.stacks.delete(state.stack_id)
        assert caught.value.code == "ValidationError"

    def test_a_policy_is_kept(self, cloud: Harness) -> None:
        state = cloud.create(cloud.template())
        assert cloud.stacks.policy(state.name) is None
        statement = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
        cloud.stacks.set_policy(state.name, {"Statement": [statement]})
        assert cloud.stacks.policy(state.name) == {"Statement": [statement]}

    def test_what_was_changed_by_hand_is_drift(self, cloud: Harness) -> None:
        state = cloud.create(cloud.template(DelaySeconds=5))
        wanted = ResourceDrift(
            state.name, "Jobs", QUEUE, "", DriftKind.MODIFIED, (Difference("/DelaySeconds", "5", "9"),)
        )
        if cloud.fake:
            cloud.fake.found_drifts = [wanted]
        if cloud.session:
            sqs = cloud.session.client("sqs")
            (url,) = [each for each in sqs.list_queues()["QueueUrls"] if f"{state.name}-" in each]
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "9"})
        detection_id = cloud.stacks.detect_drift(state.name)
        done = cloud.until(lambda: cloud.stacks.drift_detection(detection_id), lambda seen: seen.is_done)
        assert (done.has_failed, done.reason) == (False, "")
        (drift,) = cloud.stacks.drifts(state.name)
        assert replace(drift, physical_id="") == wanted


@pytest.mark.parametrize(
    ("reason", "is_empty"),
    [
        (
            "The submitted information didn't contain changes. "
            "Submit different information to create a change set.",
            True,
        ),
        ("No updates are to be performed.", True),
        ("Transform AWS::X failed", False),
        ("", False),
    ],
)
def test_a_change_set_without_changes_is_told_by_its_reason(reason: str, is_empty: bool) -> None:
    assert is_no_change(reason) is is_empty


@pytest.mark.parametrize(
    ("code", "message", "is_gone"),
    [
        ("ValidationError", "Stack with id slipway-a-network does not exist", True),
        ("ValidationError", "Stack [slipway-a-network] does not exist", True),
        ("ValidationError", "Template format error: unsupported structure.", False),
        ("AccessDenied", "the role does not exist", False),
    ],
)
def test_a_stack_that_does_not_exist_is_told_by_the_message(code: str, message: str, is_gone: bool) -> None:
    assert is_missing(AwsError("cloudformation", "DescribeStacks", code, message)) is is_gone


def test_only_as_many_pages_of_events_are_read_as_are_wanted() -> None:
    def event(number: int, status: str, type_name: str = QUEUE) -> dict[str, Any]:
        return {
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1",
            "EventId": str(number),
            "StackName": "s",
            "LogicalResourceId": "Jobs",
            "ResourceType": type_name,
            "ResourceStatus": status,
            "Timestamp": "2026-01-01T12:00:00Z",
        }

    api = SESSION.client("cloudformation")
    with Stubber(api) as stubber:
        begin = event(2, "UPDATE_IN_PROGRESS", "AWS::CloudFormation::Stack")
        stubber.add_response(
            "describe_stack_events", {"StackEvents": [event(4, "UPDATE_COMPLETE")], "NextToken": "more"}
        )
        stubber.add_response(
            "describe_stack_events",
            {
                "StackEvents": [event(3, "UPDATE_COMPLETE"), begin, event(1, "CREATE_COMPLETE")],
                "NextToken": "x",
            },
        )
        found = AwsStacks(SESSION).events("s")
        stubber.assert_no_pending_responses()
    assert [each.event_id for each in found] == ["2", "3", "4"]
