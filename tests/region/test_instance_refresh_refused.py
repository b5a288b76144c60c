# SPDX-License-Identifier: Apache-2.0
"""What StartInstanceRefresh refuses: nothing begins then.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_StartInstanceRefresh.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .refresh_calls import GROUP, a_group, refusal, shown, start, template
from .simulated_world import Client


@pytest.fixture(name="refusing", scope="module")
def fixture_refusing() -> Iterator[Client]:
    """Return a region with a group of four, for tests that change nothing."""
    yield from a_group()


@pytest.mark.parametrize(
    ("preferences", "says"),
    [
        ({"MinHealthyPercentage": 101}, "'101' at 'preferences.minHealthyPercentage'"),
        (
            {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 201},
            "'201' at 'preferences.maxHealthyPercentage'",
        ),
        ({"MaxHealthyPercentage": 110}, "must also specify MinHealthyPercentage"),
        ({"MinHealthyPercentage": 50, "MaxHealthyPercentage": 151}, "cannot be greater than 100"),
        ({"CheckpointPercentages": [50, 20]}, "ascend"),
        ({"CheckpointPercentages": [20, 20]}, "unique"),
        ({"CheckpointPercentages": [50, 101]}, "'101' at 'preferences.checkpointPercentages'"),
        ({"CheckpointDelay": 60}, "must also specify CheckpointPercentages"),
        (
            {"CheckpointPercentages": [50], "CheckpointDelay": 172_801},
            "'172801' at 'preferences.checkpointDelay'",
        ),
        ({"BakeTime": 172_801}, "'172801' at 'preferences.bakeTime'"),
        ({"ScaleInProtectedInstances": "Skip"}, "enum value set: [Refresh, Ignore, Wait]"),
        ({"StandbyInstances": "Skip"}, "enum value set: [Terminate, Ignore, Wait]"),
        ({"AlarmSpecification": {"Alarms": [f"a{n}" for n in range(11)]}}, "At most 10"),
        ({"AlarmSpecification": {"Alarms": ["nobody"]}}, "nobody does not exist"),
    ],
    ids=lambda each: str(each)[:60],
)
def test_preferences_out_of_range_are_refused_and_nothing_begins(
    refusing: Client, preferences: dict[str, Any], says: str
) -> None:
    code, message = refusal(lambda: start(refusing, **preferences))
    assert code == "ValidationError"
    assert says.lower() in message.lower()
    assert shown(refusing) == []


def test_auto_rollback_needs_a_desired_configuration(refusing: Client) -> None:
    assert refusal(lambda: start(refusing, desired=False, AutoRollback=True)) == (
        "ValidationError",
        "The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty. "
        "Set AutoRollback to false or specify a desired configuration and try again.",
    )


def test_replacing_root_volumes_and_mixed_groups_are_refused_by_name(refusing: Client) -> None:
    _, message = refusal(lambda: start(refusing, strategy="ReplaceRootVolume"))
    assert "ReplaceRootVolume" in message
    named = {"LaunchTemplateSpecification": template()["LaunchTemplate"]}
    mixed = {"MixedInstancesPolicy": {"LaunchTemplate": named}}
    call = refusing.aws("autoscaling").start_instance_refresh
    _, message = refusal(lambda: call(AutoScalingGroupName=GROUP, DesiredConfiguration=mixed))
    assert "MixedInstancesPolicy" in message
