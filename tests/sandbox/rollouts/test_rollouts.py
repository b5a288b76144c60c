# SPDX-License-Identifier: Apache-2.0
"""Four machines in four zones get a new image while their page is asked for sixty times a second."""

from __future__ import annotations

import time

import pytest

from tests.sandbox.environments.demo import Demo
from tests.sandbox.rollouts.conftest import LEAST_REQUESTS, PATIENCE_S, Fleet, kill, nothing_failed

pytestmark = pytest.mark.sandbox

ZONES = 4


def test_the_demo_rolled_a_good_image_out_and_had_a_bad_one_taken_back_and_no_request_failed(
    demo: Demo,
) -> None:
    good, bad = demo.document["rollouts"]
    assert (good["variant"], good["phase"]) == ("next", "succeeded")
    assert (bad["variant"], bad["phase"]) == ("broken", "rolled back")
    for each in (good, bad):
        assert each["load"]["failed"] == 0
        assert each["load"]["requests"] >= LEAST_REQUESTS


def test_a_bad_image_is_taken_back_by_itself(fleet: Fleet, broken_image: str) -> None:
    before = fleet.demo.pointer("api")
    with fleet.loaded() as load:
        ended = fleet.roll("--ami", broken_image)
    assert ended.status == 7, ended
    nothing_failed(load.report())
    assert fleet.demo.pointer("api") == before
    assert {image: len(zones) for image, zones in fleet.machines().items()} == {before: ZONES}
    assert fleet.leftovers() == {"locks": [], "suspended": []}
    latest = fleet.history()[0]
    assert (latest["new_ami_id"], latest["phase"]) == (broken_image, "rolled back")
    # No request reached a machine that answers nobody.
    assert set(load.report().statuses) == {"200"}


def test_a_command_that_was_killed_is_gone_on_with_by_the_next(fleet: Fleet) -> None:
    image, refreshes = fleet.other_image(), len(fleet.refreshes())
    with fleet.loaded() as load:
        first = fleet.start("--ami", image)
        end = time.monotonic() + PATIENCE_S
        while len(fleet.machines()) < 2:  # a machine of each image: it is in the middle
            assert first.poll() is None, first.communicate()
            assert time.monotonic() < end
            time.sleep(0.5)
        kill(first)
        second = fleet.roll("--ami", image)
    assert second.status == 0, second
    nothing_failed(load.report())
    assert len(fleet.refreshes()) == refreshes + 1
    assert fleet.demo.pointer("api") == image
    assert {each: len(zones) for each, zones in fleet.machines().items()} == {image: ZONES}
    assert fleet.leftovers() == {"locks": [], "suspended": []}
    record = fleet.history()[0]
    assert (record["new_ami_id"], record["phase"]) == (image, "succeeded")
    assert "attached" in [note["what"] for note in record["notes"]]
    assert fleet.roll("--ami", image, "--json").done()["changed"] is False
