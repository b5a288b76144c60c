# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Images."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import pytest
from botocore.stub import Stubber
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from orchestrator.aws.images import AwsImages
from orchestrator.domain.image import Image, ImageState, ImageStatus, image_name
from orchestrator.errors import NotFound
from orchestrator.ports import Images
from tests.contract.conftest import REGION, Aws
from tests.fakes import START, FakeClock, FakeImages

OLD, NEW = START - timedelta(days=2), START - timedelta(days=1)
KEY, OTHER_KEY = "0" * 32, "1" * 32


class World(Protocol):
    """An account in which a test can make images as nobody's adapter would."""

    images: Images

    def make(self, name: str, created_at: datetime, tags: Mapping[str, str] | None = None) -> str: ...

    def make_source(self, name: str, created_at: datetime) -> str: ...

    def snapshots(self) -> int: ...


class FakeWorld:
    def __init__(self, clock: FakeClock) -> None:
        self.images = self._fake = FakeImages(clock)

    def make(self, name: str, created_at: datetime, tags: Mapping[str, str] | None = None) -> str:
        return self._fake.add(name, tags, created_at=created_at).ami_id

    def make_source(self, name: str, created_at: datetime) -> str:
        return self._fake.add_source(DEFAULT_ACCOUNT_ID, name, created_at)

    def snapshots(self) -> int:
        return len(self._fake.snapshots)


class MotoWorld:
    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        self.images = AwsImages(aws.session, clock)
        self._ec2 = aws.ec2
        image = self._ec2.register_image(Name="first", RootDeviceName="/dev/xvda")
        self._before = self.snapshots()
        run = self._ec2.run_instances(ImageId=image["ImageId"], MinCount=1, MaxCount=1)
        self._instance_id = run["Instances"][0]["InstanceId"]

    def make(self, name: str, created_at: datetime, tags: Mapping[str, str] | None = None) -> str:
        answer = self._ec2.create_image(InstanceId=self._instance_id, Name=name)
        if tags:
            self._ec2.create_tags(Resources=[answer["ImageId"]], Tags=_list(tags))
        ami = ec2_backends[DEFAULT_ACCOUNT_ID][REGION].amis[answer["ImageId"]]
        ami.creation_date = created_at
        return str(answer["ImageId"])

    make_source = make

    def snapshots(self) -> int:
        return len(self._ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) - getattr(self, "_before", 0)


def _list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


@pytest.fixture(params=["fake", "ec2"])
def world(request: pytest.FixtureRequest, clock: FakeClock) -> World:
    if request.param == "fake":
        return FakeWorld(clock)
    return MotoWorld(request.getfixturevalue("aws"), clock)


def only(images: tuple[Image, ...]) -> Image:
    (image,) = images
    return image


class TestImages:
    def test_source_is_the_newest_that_matches(self, world: World) -> None:
        world.make_source("debian-12-amd64-1", OLD)
        newest = world.make_source("debian-12-amd64-2", NEW)
        world.make_source("debian-13-amd64-1", START)
        found = world.images.source(DEFAULT_ACCOUNT_ID, "debian-12-amd64-*")
        assert (found.ami_id, found.name, found.owner_id) == (newest, "debian-12-amd64-2", DEFAULT_ACCOUNT_ID)

    @pytest.mark.parametrize(("owner", "name"), [("000000000000", "debian-*"), (DEFAULT_ACCOUNT_ID, "nix-*")])
    def test_no_source_is_not_found(self, world: World, owner: str, name: str) -> None:
        world.make_source("debian-12-amd64-1", OLD)
        with pytest.raises(NotFound):
            world.images.source(owner, name)

    def test_images_of_classes_come_newest_first(self, world: World) -> None:
        old = world.make(image_name("api", KEY), OLD)
        new = world.make(image_name("base", OTHER_KEY), NEW)
        found = world.images.by_class(("api", "base"))
        assert [(each.ami_id, each.class_name, each.bake_key) for each in found] == [
            (new, "base", OTHER_KEY),
            (old, "api", KEY),
        ]
        assert [each.created_at for each in found] == [NEW, OLD]

    def test_an_image_says_all_we_know_of_it(self, world: World) -> None:
        tags = {"slipway:state": "published", "slipway:class": "api"}
        ami_id = world.make(image_name("api", KEY, 2), OLD, tags)
        found = only(world.images.by_class(("api",)))
        assert (found.ami_id, found.name, found.revision) == (ami_id, f"api-{KEY}.2", 2)
        assert (found.status, found.state, found.is_published) == (
            ImageStatus.AVAILABLE,
            ImageState.PUBLISHED,
            True,
        )
        assert found.tags == tags
        assert len(found.snapshot_ids) == 1

    def test_an_untagged_image_is_seen(self, world: World) -> None:
        world.make(image_name("api", KEY), OLD)
        assert only(world.images.by_class(("api",))).state is None

    def test_names_that_only_look_alike_are_not_of_the_class(self, world: World) -> None:
        world.make(image_name("api-front", KEY), OLD)
        world.make("api-by-hand", OLD)
        assert world.images.by_class(("api",)) == ()

    def test_no_class_has_no_image(self, world: World) -> None:
        world.make(image_name("api", KEY), OLD)
        assert world.images.by_class(()) == ()

    def test_tags_are_put_on_images_and_snapshots_beside_others(self, world: World) -> None:
        world.make(image_name("api", KEY), OLD, {"a": "1", "b": "1"})
        image = only(world.images.by_class(("api",)))
        world.images.tag((image.ami_id, *image.snapshot_ids), {"b": "2", "run": "r"})
        assert only(world.images.by_class(("api",))).tags == {"a": "1", "b": "2", "run": "r"}
        assert [each.resource_id for each in world.images.snapshots_tagged("run")] == list(image.snapshot_ids)

    def test_what_is_not_there_can_not_be_tagged(self, world: World) -> None:
        with pytest.raises(NotFound):
            world.images.tag(("ami-0123456789abcdef0",), {"a": "1"})

    def test_deregister_removes_the_image_and_its_snapshots_and_no_other(self, world: World) -> None:
        world.make(image_name("api", KEY), OLD)
        other = world.make(image_name("base", KEY), OLD)
        world.images.deregister(only(world.images.by_class(("api",))))
        assert [each.ami_id for each in world.images.by_class(("api", "base"))] == [other]
        assert world.snapshots() == 1

    def test_deregister_twice_is_no_error(self, world: World) -> None:
        world.make(image_name("api", KEY), OLD)
        image = only(world.images.by_class(("api",)))
        world.images.deregister(image)
        world.images.deregister(image)
        assert world.images.by_class(("api",)) == ()

    def test_deregister_finds_the_snapshot_an_image_got_since(self, world: World) -> None:
        world.make(image_name("api", KEY), OLD)
        seen = only(world.images.by_class(("api",)))
        early = Image(seen.ami_id, seen.name, "api", KEY, ImageStatus.PENDING, OLD)
        world.images.deregister(early)
        assert world.snapshots() == 0

    def test_a_snapshot_that_is_gone_is_no_error(self, world: World) -> None:
        world.images.delete_snapshot("snap-0123456789abcdef0")


def test_one_call_finds_the_images_of_any_number_of_classes(aws: Aws, clock: FakeClock) -> None:
    calls: list[str] = []
    aws.ec2.meta.events.register("before-call.ec2.*", lambda model, **_: calls.append(model.name), "count")
    try:
        AwsImages(aws.session, clock).by_class(tuple(f"class-{number}" for number in range(50)))
    finally:
        aws.ec2.meta.events.unregister("before-call.ec2.*", unique_id="count")
    assert calls == ["DescribeImages"]


def test_a_snapshot_that_still_counts_as_used_is_deleted_later(aws: Aws, clock: FakeClock) -> None:
    with Stubber(aws.ec2) as stubber:
        stubber.add_client_error("delete_snapshot", "InvalidSnapshot.InUse")
        stubber.add_response("delete_snapshot", {}, {"SnapshotId": "snap-1"})
        AwsImages(aws.session, clock).delete_snapshot("snap-1")
        stubber.assert_no_pending_responses()
    assert len(clock.slept) == 1
