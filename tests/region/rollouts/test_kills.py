# SPDX-License-Identifier: Apache-2.0
"""A rollout that is killed at a call over the wire, before it or after its answer, is ended by the next run.

tests/unit/test_rollout_kills.py kills it at each call of its ports, here it is those that change something.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.domain.rollout.record import Phase
from orchestrator.errors import RolledBack
from orchestrator.workflows import rollout

from ..simulated_world import simulated
from .deaths import Death, Killed, deaths, is_change
from .rolling import FLEET, MACHINES, Rolling


@pytest.fixture(scope="module")
def rolling() -> Iterator[Rolling]:
    """Return a fleet that all tests of this module roll to and fro."""
    for client in simulated():
        # So few looks are taken while machines come up.
        client.fault(kind="boot", distribution="fixed", seconds=5)
        yield Rolling(client)


def check_nothing_is_left(rolling: Rolling) -> None:
    """Check that there is no lock, pause or open record, and one refresh for each rollout."""
    rolling.time.sleep(30)
    group = rolling.group()
    assert rolling.locks() == []
    assert group["SuspendedProcesses"] == []
    assert [each["LifecycleState"] for each in group["Instances"]] == ["InService"] * MACHINES
    records = rollout.history(rolling.world(), rolling.target.fleet)
    assert all(each.phase.is_over and each.pause is None and each.ended_at for each in records)
    assert all(len(each.refresh_ids) == 1 for each in records)
    begun = [each["InstanceRefreshId"] for each in rolling.refreshes()]
    assert sorted(begun) == sorted(each.refresh_id for each in records)


def kill(rolling: Rolling, ami_id: str, death: Death) -> None:
    """Kill a rollout."""
    rolling.session.begin(death)
    with pytest.raises(Killed):
        rolling.roll(ami_id, is_mortal=True)
    rolling.session.begin()


def test_a_good_image_is_rolled_out(rolling: Rolling) -> None:
    rolling.session.begin()
    rolling.roll(rolling.next_image)
    for death in list(deaths(rolling.session.heard)):
        ami_id, before = rolling.next_image, len(rolling.refreshes())
        kill(rolling, ami_id, death)
        rolling.roll(ami_id)
        check_nothing_is_left(rolling)
        newest = rolling.versions()[0]
        assert (newest["LaunchTemplateData"]["ImageId"], newest["DefaultVersion"]) == (ami_id, True)
        # One version and one refresh for each of the images that the fleet has had.
        assert (newest["VersionNumber"], len(rolling.refreshes())) == (before + 2, before + 1)
        assert rolling.running() == {str(before + 2)}
        assert rolling.pointer() == ami_id
        assert rollout.history(rolling.world(), FLEET)[0].phase is Phase.SUCCEEDED


def test_a_bad_image_is_taken_back(rolling: Rolling) -> None:
    pointer, running = rolling.pointer(), rolling.running()
    rolling.session.begin()
    with rolling.failing_launches(), pytest.raises(RolledBack):
        rolling.roll(rolling.next_image)
    heard = rolling.session.heard
    begun = sum(is_change(each) for each in heard[: heard.index("auto-scaling.StartInstanceRefresh")])
    # Before that it is no different from a good image's.
    for death in [each for each in deaths(heard) if each.changes > begun]:
        with rolling.failing_launches():
            kill(rolling, rolling.next_image, death)
            with pytest.raises(RolledBack):
                rolling.roll(rolling.next_image)
        check_nothing_is_left(rolling)
        assert (rolling.pointer(), rolling.running()) == (pointer, running)
        default = {str(each["VersionNumber"]) for each in rolling.versions() if each["DefaultVersion"]}
        assert default == running
        assert rollout.history(rolling.world(), FLEET)[0].phase is Phase.ROLLED_BACK
