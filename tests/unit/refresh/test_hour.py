# SPDX-License-Identifier: Apache-2.0
"""What neither a restart nor a switch changes about the end of a refresh."""

from __future__ import annotations

from sandbox.autoscaling.refresh.choices import Choices
from sandbox.autoscaling.refresh.preferences import Preferences
from sandbox.autoscaling.refresh.record import RefreshStatus
from tests.unit.autoscaling_fleet import Fleet

from .conftest import HOUR_S, Stories


def test_a_last_checkpoint_ends_a_refresh_also_after_a_delay(stories: Stories) -> None:
    fleet = Fleet(choices=Choices(delays_after_last_checkpoint=True))
    story = stories.of(10, fleet=fleet)
    story.begin(Preferences(min_healthy=50, warmup_s=0, checkpoints=(50,), checkpoint_delay_s=600))
    assert story.run().status is RefreshStatus.SUCCESSFUL
    assert story.versions == {1: 5, 2: 5}
    assert story.age_s >= 600


def test_a_restart_gives_a_failing_refresh_no_second_hour(stories: Stories) -> None:
    fleet = Fleet()
    story = stories.of(10, fleet=fleet)
    refresh = story.begin(Preferences(min_healthy=80, warmup_s=0))
    story.pass_time(40)
    assert refresh.percentage > 0
    fleet.broken = {2}
    story.pass_time(1800)
    fleet.loop.close()
    fleet.restart()
    fleet.wake()
    story.run(limit_s=1.1 * HOUR_S)
    assert refresh.status is RefreshStatus.FAILED
