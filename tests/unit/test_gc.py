# SPDX-License-Identifier: Apache-2.0
"""What gc takes for a leftover, and what it never touches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.domain.image import ImageStatus
from orchestrator.errors import Refused
from orchestrator.ports import MachineRequest, Tagged
from orchestrator.workflows import gc
from tests.unit.bake_world import FakeWorld, write_project

DEAD, ALIVE = "bake-dead", "bake-alive"
KEY = "0" * 32


@pytest.fixture(name="fake")
def fixture_fake(tmp_path: Path) -> FakeWorld:
    """A project of base and api; somebody bakes api."""
    write_project(tmp_path, {"base": None, "api": "base"})
    fake = FakeWorld(tmp_path)
    fake.locks.hold_for_other("bake/sandbox/api", ALIVE)
    return fake


def tags(run_id: str, **more: str) -> dict[str, str]:
    """Return the tags of a run's resources."""
    return {"slipway:run": run_id, **{f"slipway:{name}": value for name, value in more.items()}}


def have_all(fake: FakeWorld, name: str, with_tags: Mapping[str, str]) -> list[str]:
    """Have one of everything that a bake makes for a time; return their ids and names."""
    fake.machines.import_key(name, "ssh-ed25519 A", with_tags)
    group_id = fake.machines.create_security_group(name, "vpc-1", ssh_from="192.0.2.1/32", tags=with_tags)
    instance_id = fake.machines.run(
        MachineRequest("ami-1", "t3.small", "subnet-1", group_id, name, tags=with_tags)
    )
    fake.clock.advance(10)
    fake.machines.volumes[f"vol-{name}"] = Tagged(f"vol-{name}", name, with_tags)
    fake.images.snapshots[f"snap-{name}"] = dict(with_tags)
    return [instance_id, f"snap-{name}", group_id, name, f"vol-{name}"]


def run_folder(fake: FakeWorld, run_id: str) -> Path:
    """Have a run's folder with a key in it."""
    folder = fake.project / "build" / "runs" / run_id / "base"
    folder.mkdir(parents=True)
    (folder / "operator").write_text("key")
    return folder.parent


def remove(fake: FakeWorld) -> gc.Leftovers:
    """Plan and remove."""
    world = fake.world("gc-1")
    plan = gc.observe_and_plan(world)
    gc.apply(world, plan, fake.reporter)
    return plan


def test_a_dead_runs_leftovers_go_and_a_live_ones_stay(fake: FakeWorld) -> None:
    machine, snapshot, group, key, volume = have_all(fake, "dead", tags(DEAD))
    kept = have_all(fake, "alive", tags(ALIVE))
    foreign = have_all(fake, "foreign", {"Name": "dead"})
    folder, live_folder = run_folder(fake, DEAD), run_folder(fake, ALIVE)
    plan = remove(fake)
    assert plan.as_dict() == {
        "machines": [machine],
        "images": [],
        "snapshots": [snapshot],
        "security groups": [group],
        "key pairs": [key],
        "volumes": [volume],
        "folders": [DEAD],
    }
    assert plan.lines(is_dry_run=True)[0] == f"would remove machines: {machine}"
    living = [each for each, seen in fake.machines.machines.items() if seen.state == "running"]
    assert living == [kept[0], foreign[0]]
    assert list(fake.images.snapshots) == [kept[1], foreign[1]]
    assert list(fake.machines.groups) == [kept[2], foreign[2]]
    assert list(fake.machines.keys) == [kept[3], foreign[3]]
    assert list(fake.machines.volumes) == [kept[4], foreign[4]]
    assert (folder.exists(), live_folder.exists()) == (False, True)
    assert fake.programs.ended_runs == [DEAD]


def test_a_second_time_there_is_nothing_to_remove(fake: FakeWorld) -> None:
    have_all(fake, "dead", tags(DEAD))
    remove(fake)
    plan = gc.observe_and_plan(fake.world("gc-2"))
    assert (plan.is_empty, plan.lines()) == (True, ("nothing to remove",))


IMAGES: dict[str, tuple[str, Mapping[str, str], ImageStatus, bool]] = {
    "published": ("base", tags(DEAD, state="published"), ImageStatus.AVAILABLE, True),
    "published, but EC2 lost it": ("base", tags(DEAD, state="published"), ImageStatus.FAILED, True),
    "candidate": ("base", tags(DEAD, state="candidate"), ImageStatus.AVAILABLE, False),
    "candidate in the making": ("base", tags(DEAD, state="candidate"), ImageStatus.PENDING, False),
    "killed before it was tagged": ("base", {}, ImageStatus.AVAILABLE, False),
    "of a state nobody knows": ("base", tags(DEAD, state="odd"), ImageStatus.AVAILABLE, False),
    "candidate of a class that is baked": (
        "api",
        tags(ALIVE, state="candidate"),
        ImageStatus.AVAILABLE,
        True,
    ),
    "a dead run's, which a live one may resume": (
        "api",
        tags(DEAD, state="candidate"),
        ImageStatus.AVAILABLE,
        True,
    ),
    "candidate of a class of old": (
        "gone",
        tags(DEAD, state="candidate", **{"class": "gone"}),
        ImageStatus.AVAILABLE,
        False,
    ),
    "published of a class of old": (
        "gone",
        tags(DEAD, state="published", **{"class": "gone"}),
        ImageStatus.AVAILABLE,
        True,
    ),
}


@pytest.mark.parametrize(("class_name", "with_tags", "status", "stays"), IMAGES.values(), ids=IMAGES)
def test_images(
    fake: FakeWorld, class_name: str, with_tags: Mapping[str, str], status: ImageStatus, stays: bool
) -> None:
    image = fake.images.add(f"{class_name}-{KEY}", with_tags, status=status)
    fake.objects.put(f"images/{image.name}.json", b"{}")
    plan = remove(fake)
    assert [each.ami_id for each in plan.images] == ([] if stays else [image.ami_id])
    assert (image.ami_id in fake.images.images) == stays
    assert (image.snapshot_ids[0] in fake.images.snapshots) == stays
    assert (f"images/{image.name}.json" in fake.objects.objects) == stays


@pytest.mark.parametrize("name", ["golden", f"other-{KEY}", f"base-{KEY[:-1]}", f"base-{KEY}x"])
def test_an_image_of_somebody_elses_stays(fake: FakeWorld, name: str) -> None:
    fake.images.add(name)
    assert gc.observe_and_plan(fake.world("gc-1")).is_empty


def test_a_run_that_publishes_while_leftovers_are_listed_leaves_none(fake: FakeWorld) -> None:
    """It was listed as a candidate; by the time the locks are read again, it holds none."""
    fake.images.add(f"api-{KEY}", tags(ALIVE, state="candidate"))

    def publish_and_release(call: str) -> None:
        if call == "volumes_tagged":
            fake.locks.held.clear()

    fake.machines.after_call = publish_and_release
    assert gc.observe_and_plan(fake.world("gc-1")).is_empty
    assert fake.locks.held == {}


def test_a_run_that_begins_while_leftovers_are_listed_is_alive(fake: FakeWorld) -> None:
    def begin(call: str) -> None:
        if call == "by_class" and "bake/sandbox/base" not in fake.locks.held:
            fake.locks.hold_for_other("bake/sandbox/base", "bake-new")
            have_all(fake, "new", tags("bake-new"))

    fake.images.after_call = begin
    plan = gc.observe_and_plan(fake.world("gc-1"))
    assert (plan.is_empty, "new" in fake.machines.keys) == (True, True)


def test_another_account_is_refused(fake: FakeWorld) -> None:
    have_all(fake, "dead", tags(DEAD))
    fake.identity.account = "210987654321"
    with pytest.raises(Refused):
        remove(fake)
    assert "terminate" not in fake.machines.calls


def test_an_image_whose_snapshot_went_first_goes_too(fake: FakeWorld) -> None:
    """As when two operators clean up at once."""
    fake.images.add(f"base-{KEY}", tags(DEAD, state="candidate"))
    fake.images.snapshots.clear()
    remove(fake)
    assert fake.images.images == {}
