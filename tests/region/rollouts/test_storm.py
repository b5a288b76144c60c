# SPDX-License-Identifier: Apache-2.0
"""A rollout while half of all calls are throttled and a fifth fail inside of AWS."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import botocore.endpoint
import pytest

from ..simulated_world import simulated
from .rolling import MACHINES, RegionTime, Rolling

POLICY = {
    "min_healthy_percentage": 100,
    "max_healthy_percentage": 150,
    "checkpoint_percentages": [50, 100],
    "checkpoint_delay_s": 300,
    "instance_warmup_s": 30,
    "max_failures": 1,
}
MOST_TIMES_THE_CALLS = 3


class Pauses:
    """The time that botocore waits between its attempts: the region's."""

    def __init__(self, time: RegionTime) -> None:
        self._time = time
        # What is done in rhythm while we wait may have to wait, too.
        self._guard = threading.RLock()

    def sleep(self, seconds: float) -> None:
        with self._guard:
            self._time.sleep(seconds)


@pytest.fixture
def rolling() -> Iterator[Rolling]:
    for client in simulated():
        yield Rolling(client, policy=POLICY)


def test_a_rollout_gets_through_a_storm(rolling: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.endpoint, "time", Pauses(rolling.time))
    rolling.session.begin()
    rolling.roll(rolling.next_image)
    calm = len(rolling.session.heard)
    ami_id = rolling.next_image
    rolling.client.fault(kind="api", code="Throttling", rate=0.5)
    # Two fifths of those that are not throttled are a fifth of all.
    rolling.client.fault(kind="api", code="InternalError", rate=0.4)
    rolling.session.begin()
    rolling.roll(ami_id)
    stormy = len(rolling.session.heard)
    rolling.client.page("DELETE", "faults")
    rolling.time.sleep(60)
    assert stormy <= MOST_TIMES_THE_CALLS * calm
    assert rolling.pointer() == ami_id
    assert rolling.running() == {"3"}
    assert len(rolling.group()["Instances"]) == MACHINES
    # The second rollout has made one version and begun one refresh, whatever answers were lost.
    assert [each["VersionNumber"] for each in rolling.versions()] == [3, 2, 1]
    assert len(rolling.refreshes()) == 2
    assert rolling.locks() == []
