# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Fleets where it is about instance refreshes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from orchestrator.aws.fleets import AwsFleets
from orchestrator.domain.fleet import FleetGroup
from orchestrator.domain.refresh import (
    InstanceRefresh,
    ProtectedInstances,
    RefreshPreferences,
    RefreshRequest,
    RefreshStatus,
    RollbackDetails,
    StandbyInstances,
)
from orchestrator.errors import AwsError, NotFound
from tests.contract.clouds import Cloud, FakeCloud, RegionCloud
from tests.contract.conftest import SESSION
from tests.fakes import FakeClock
from tests.region.simulated_world import Client, simulated

QUICK = RefreshPreferences(min_healthy_percentage=100, max_healthy_percentage=200, instance_warmup_s=30)
AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def region() -> Iterator[Client]:
    """Return a region that all tests of this module share, each with a fleet of its own."""
    yield from simulated()


@pytest.fixture(params=["fake", "region"])
def cloud(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Cloud]:
    if request.param == "fake":
        yield FakeCloud(clock)
        return
    client: Client = request.getfixturevalue("region")
    yield RegionCloud(client)
    client.page("DELETE", "faults")


def begin(
    cloud: Cloud, *, machines: int = 4, version: str = "1", is_bad: bool = False, **preferences: Any
) -> tuple[str, str, RefreshRequest]:
    """Begin to refresh a fleet to version 2 of its template; return group, id and request."""
    template_id, ami_id = cloud.template(), cloud.other_image()
    name = cloud.fleet(template_id, machines=machines, version=version)
    cloud.templates.create_version(template_id, source=1, ami_id=ami_id, description="", token=template_id)
    if is_bad:
        cloud.spoil(2)
    request = RefreshRequest(template_id, 2, replace(QUICK, **preferences))
    return name, cloud.fleets.start_refresh(name, request), request


def run(
    cloud: Cloud,
    name: str,
    refresh_id: str,
    *,
    look: Callable[[FleetGroup], None] = lambda group: None,
    pause_s: float = 15,
) -> InstanceRefresh:
    """Let a refresh come to its end."""
    for _ in range(1000):
        seen = cloud.fleets.refresh(name, refresh_id)
        look(cloud.fleets.group(name))
        if not seen.status.is_active:
            return seen
        cloud.advance(pause_s)
    raise AssertionError(f"still {seen}")


class TestRefreshes:
    def test_a_refresh_replaces_every_machine_and_then_the_group_names_the_new_version(
        self, cloud: Cloud
    ) -> None:
        name, refresh_id, request = begin(cloud)
        begun = cloud.fleets.refresh(name, refresh_id)
        assert begun.status in (RefreshStatus.PENDING, RefreshStatus.IN_PROGRESS)
        assert (begun.group, begun.template_id, begun.version) == (name, request.template_id, 2)
        assert (begun.preferences, begun.ended_at, begun.rollback) == (request.preferences, None, None)
        in_service: list[int] = []
        versions: set[str] = set()

        def look(group: FleetGroup) -> None:
            in_service.append(len(group.in_service))
            if cloud.fleets.refresh(name, refresh_id).status.is_active:
                versions.add(group.template_version)

        ended = run(cloud, name, refresh_id, look=look)
        assert (ended.status, ended.percentage, ended.instances_to_update) == ("Successful", 100, 0)
        assert ended.started_at is not None
        assert ended.ended_at is not None
        assert ended.ended_at > ended.started_at
        assert min(in_service) == 4
        assert versions == {"1"}
        group = cloud.fleets.group(name)
        assert group.template_version == "2"
        assert len(group.in_service) == 4
        assert all(each.is_of(request.template_id, 2) for each in group.instances)
        assert cloud.fleets.refreshes(name) == (ended,)
        activities = cloud.fleets.activities(name)
        assert sum(each.is_termination and each.status == "Successful" for each in activities) == 4

    def test_there_is_one_at_a_time(self, cloud: Cloud) -> None:
        name, refresh_id, request = begin(cloud, machines=1)
        with pytest.raises(AwsError) as caught:
            cloud.fleets.start_refresh(name, request)
        assert caught.value.code == "InstanceRefreshInProgress"
        first = run(cloud, name, refresh_id)
        again = cloud.fleets.start_refresh(name, request)
        assert again != refresh_id
        # Nothing is left to be replaced.
        second = run(cloud, name, again)
        assert (second.status, second.instances_to_update) == ("Successful", 0)
        assert [each.refresh_id for each in cloud.fleets.refreshes(name)] == [again, refresh_id]
        assert cloud.fleets.refreshes(name, limit=1) == (second,)
        assert cloud.fleets.refresh(name, refresh_id) == first

    def test_without_one_there_is_nothing_to_cancel_or_to_take_back(self, cloud: Cloud) -> None:
        name = cloud.fleet(cloud.template(), machines=1)
        for undo in (cloud.fleets.cancel_refresh, cloud.fleets.rollback_refresh):
            with pytest.raises(AwsError) as caught:
                undo(name)
            assert caught.value.code == "ActiveInstanceRefreshNotFound"
        with pytest.raises(NotFound):
            cloud.fleets.refresh(name, "01234567-0123-0123-0123-0123456789ab")
        assert cloud.fleets.refreshes(name) == ()

    def test_a_group_that_is_not_there_has_none(self, cloud: Cloud) -> None:
        fleets = cloud.fleets
        for ask in (fleets.refreshes, fleets.cancel_refresh, fleets.rollback_refresh):
            with pytest.raises(NotFound):
                ask("nowhere")

    def test_what_was_cancelled_stays_as_far_as_it_came(self, cloud: Cloud) -> None:
        name, refresh_id, request = begin(cloud, max_healthy_percentage=125)
        while not any(each.version == 2 for each in cloud.fleets.group(name).in_service):
            cloud.advance(10)
        assert cloud.fleets.cancel_refresh(name) == refresh_id
        assert cloud.fleets.refresh(name, refresh_id).status in ("Cancelling", "Cancelled")
        assert run(cloud, name, refresh_id).status == "Cancelled"
        cloud.advance(300)
        group = cloud.fleets.group(name)
        assert (group.template_version, len(group.in_service)) == ("1", 4)
        versions = [each.version for each in group.in_service]
        assert 1 <= versions.count(2) < 4
        assert cloud.fleets.start_refresh(name, request)

    def test_a_rollback_brings_the_old_version_back(self, cloud: Cloud) -> None:
        name, refresh_id, request = begin(cloud, max_healthy_percentage=125)
        while cloud.fleets.refresh(name, refresh_id).percentage < 50:
            cloud.advance(10)
        assert cloud.fleets.rollback_refresh(name) == refresh_id
        begun = cloud.fleets.refresh(name, refresh_id)
        assert begun.status is RefreshStatus.ROLLBACK_IN_PROGRESS
        assert begun.rollback is not None
        assert begun.rollback.percentage_at_rollback >= 50
        with pytest.raises(AwsError) as caught:
            cloud.fleets.start_refresh(name, request)
        assert caught.value.code == "InstanceRefreshInProgress"
        assert run(cloud, name, refresh_id).status == "RollbackSuccessful"
        group = cloud.fleets.group(name)
        assert group.template_version == "1"
        assert [each.version for each in group.in_service] == [1, 1, 1, 1]

    def test_a_group_that_names_no_number_can_not_be_taken_back(self, cloud: Cloud) -> None:
        name, _, _ = begin(cloud, machines=1, version="$Default", auto_rollback=False)
        with pytest.raises(AwsError) as caught:
            cloud.fleets.rollback_refresh(name)
        assert caught.value.code == "IrreversibleInstanceRefresh"

    def test_while_the_process_is_suspended_nothing_is_replaced(self, cloud: Cloud) -> None:
        name, refresh_id, _ = begin(cloud)
        cloud.fleets.suspend(name, "InstanceRefresh")
        cloud.advance(7200)
        assert cloud.fleets.refresh(name, refresh_id).status.is_active
        assert len([each for each in cloud.fleets.group(name).in_service if each.version == 1]) >= 2
        cloud.fleets.resume(name, "InstanceRefresh")
        assert run(cloud, name, refresh_id).status == "Successful"

    def test_a_checkpoint_is_waited_at(self, cloud: Cloud) -> None:
        name, refresh_id, request = begin(cloud, checkpoint_percentages=(25, 100), checkpoint_delay_s=3600)
        assert cloud.fleets.refresh(name, refresh_id).preferences == request.preferences
        cloud.advance(1800)
        waiting = cloud.fleets.refresh(name, refresh_id)
        assert (waiting.status, waiting.percentage) == ("InProgress", 25)
        assert run(cloud, name, refresh_id, pause_s=300).status == "Successful"

    def test_machines_that_never_get_healthy_end_in_a_rollback_after_an_hour(self, cloud: Cloud) -> None:
        # Longer than it takes to find out that a machine is ill.
        name, refresh_id, _ = begin(cloud, is_bad=True, instance_warmup_s=300)
        ended = run(cloud, name, refresh_id, pause_s=300)
        assert ended.status in ("RollbackSuccessful", "RollbackFailed")
        assert ended.rollback is not None
        assert ended.started_at is not None
        assert ended.rollback.started_at is not None
        assert ended.rollback.reason
        assert (ended.rollback.started_at - ended.started_at).total_seconds() >= 3600
        assert cloud.fleets.group(name).template_version == "1"

    def test_all_preferences_are_kept(self, cloud: Cloud) -> None:
        name, refresh_id, request = begin(
            cloud,
            machines=1,
            scale_in_protected_instances=ProtectedInstances.WAIT,
            standby_instances=StandbyInstances.TERMINATE,
            min_healthy_percentage=50,
            max_healthy_percentage=120,
            refresh_bake_time_s=600,
            skip_matching=False,
            auto_rollback=False,
        )
        assert cloud.fleets.refresh(name, refresh_id).preferences == request.preferences


def stubbed(method: str, answer: dict[str, Any], ask: Callable[[AwsFleets], Any]) -> Any:
    """Return what an adapter makes of an answer."""
    with Stubber(SESSION.client("autoscaling")) as stubber:
        stubber.add_response(method, answer)
        found = ask(AwsFleets(SESSION))
        stubber.assert_no_pending_responses()
    return found


def test_what_aws_tells_of_alarms_and_rollbacks_is_understood() -> None:
    raw = {
        "InstanceRefreshId": "r-1",
        "AutoScalingGroupName": "api",
        "Status": "RollbackInProgress",
        "StatusReason": "Rolling back.",
        "StartTime": AT,
        "PercentageComplete": 0,
        "InstancesToUpdate": 3,
        "DesiredConfiguration": {"LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "$Latest"}},
        "Preferences": {
            "MinHealthyPercentage": 90,
            "CheckpointPercentages": [50, 100],
            "CheckpointDelay": 60,
            "AlarmSpecification": {"Alarms": ["errors"]},
            "BakeTime": 300,
        },
        "RollbackDetails": {
            "RollbackReason": "errors went into ALARM",
            "RollbackStartTime": AT,
            "PercentageCompleteOnRollback": 40,
            "InstancesToUpdateOnRollback": 6,
        },
    }
    (found,) = stubbed(
        "describe_instance_refreshes", {"InstanceRefreshes": [raw]}, lambda fleets: fleets.refreshes("api")
    )
    assert found == InstanceRefresh(
        "r-1",
        "api",
        RefreshStatus.ROLLBACK_IN_PROGRESS,
        reason="Rolling back.",
        percentage=0,
        instances_to_update=3,
        started_at=AT,
        template_id="lt-1",
        version=None,
        preferences=RefreshPreferences(
            min_healthy_percentage=90,
            checkpoint_percentages=(50, 100),
            checkpoint_delay_s=60,
            skip_matching=False,
            auto_rollback=False,
            scale_in_protected_instances=ProtectedInstances.WAIT,
            standby_instances=StandbyInstances.WAIT,
            alarms=("errors",),
            refresh_bake_time_s=300,
        ),
        rollback=RollbackDetails("errors went into ALARM", AT, 40, 6),
    )


TEMPLATE = {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "api", "Version": "3"}
GROUP = {
    "AutoScalingGroupName": "api",
    "AutoScalingGroupARN": "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:x",
    "MinSize": 1,
    "MaxSize": 4,
    "DesiredCapacity": 2,
    "DefaultCooldown": 300,
    "AvailabilityZones": ["us-east-1a"],
    "HealthCheckType": "EC2",
    "CreatedTime": AT,
}
MIXED = {"MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification": TEMPLATE}}}


@pytest.mark.parametrize(
    ("settings", "template"),
    [
        ({"LaunchTemplate": TEMPLATE}, ("lt-1", "api", "3")),
        (MIXED, ("lt-1", "api", "3")),
        ({"LaunchTemplate": {"LaunchTemplateId": "lt-1"}}, ("lt-1", "", "$Default")),
        ({"LaunchConfigurationName": "old"}, ("", "", "")),
    ],
    ids=["a launch template", "mixed instances", "no version", "a launch configuration"],
)
def test_a_group_says_what_it_launches_from(settings: dict[str, Any], template: tuple[str, str, str]) -> None:
    answer = {"AutoScalingGroups": [GROUP | settings]}
    group = stubbed("describe_auto_scaling_groups", answer, lambda fleets: fleets.group("api"))
    assert (group.template_id, group.template_name, group.template_version) == template


def test_a_busy_group_is_told_by_its_code() -> None:
    api = SESSION.client("autoscaling")
    with Stubber(api) as stubber:
        stubber.add_client_error("start_instance_refresh", "ResourceContention", "busy", 500)
        with pytest.raises(AwsError) as caught:
            AwsFleets(SESSION).start_refresh("api", RefreshRequest("lt-1", 2, QUICK))
    assert (caught.value.code, isinstance(caught.value, NotFound)) == ("ResourceContention", False)
