# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Objects."""

from __future__ import annotations

import pytest
from botocore.stub import Stubber

from orchestrator.aws.objects import S3Objects
from orchestrator.errors import NotFound
from orchestrator.ports import Objects
from tests.contract.conftest import Aws
from tests.fakes import FakeClock, FakeObjects

BUCKET = "slipway-contract"


@pytest.fixture(params=["fake", "s3"])
def objects(request: pytest.FixtureRequest, clock: FakeClock) -> Objects:
    if request.param == "fake":
        return FakeObjects()
    aws: Aws = request.getfixturevalue("aws")
    aws.s3.create_bucket(Bucket=BUCKET)
    # As the region and the stacks make it: a deleted object leaves a marker behind.
    aws.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return S3Objects(aws.session, BUCKET, clock)


class TestObjects:
    def test_what_is_put_is_got(self, objects: Objects) -> None:
        etag = objects.put("a/b.json", b"one")
        stored = objects.get("a/b.json")
        assert stored is not None
        assert (stored.key, stored.body, stored.etag) == ("a/b.json", b"one", etag)

    def test_what_is_not_there_is_none(self, objects: Objects) -> None:
        assert objects.get("a") is None

    def test_put_without_condition_overwrites(self, objects: Objects) -> None:
        objects.put("a", b"one")
        assert objects.put("a", b"two")
        assert objects.get("a").body == b"two"

    def test_if_none_match_writes_once(self, objects: Objects) -> None:
        assert objects.put("a", b"one", if_none_match=True)
        assert objects.put("a", b"two", if_none_match=True) is None
        assert objects.get("a").body == b"one"

    def test_if_none_match_writes_again_after_a_deletion(self, objects: Objects) -> None:
        objects.put("a", b"one")
        objects.delete("a")
        assert objects.put("a", b"two", if_none_match=True)
        assert objects.get("a").body == b"two"

    def test_if_match_writes_over_that_version_only(self, objects: Objects) -> None:
        first = objects.put("a", b"one")
        second = objects.put("a", b"two", if_match=first)
        assert second
        assert objects.put("a", b"three", if_match=first) is None
        assert objects.get("a").body == b"two"

    def test_if_match_does_not_hold_for_what_is_not_there(self, objects: Objects) -> None:
        assert objects.put("a", b"one", if_match='"0123"') is None
        assert objects.get("a") is None

    def test_delete_removes(self, objects: Objects) -> None:
        objects.put("a", b"one")
        assert objects.delete("a") is True
        assert objects.get("a") is None

    def test_delete_of_what_is_not_there_is_no_error(self, objects: Objects) -> None:
        assert objects.delete("a") is True

    def test_delete_if_match_removes_that_version_only(self, objects: Objects) -> None:
        first = objects.put("a", b"one")
        second = objects.put("a", b"two")
        assert objects.delete("a", if_match=first) is False
        assert objects.get("a").body == b"two"
        assert objects.delete("a", if_match=second) is True
        assert objects.get("a") is None

    def test_delete_if_match_does_not_hold_for_what_is_not_there(self, objects: Objects) -> None:
        assert objects.delete("a", if_match='"0123"') is False

    def test_keys_have_the_prefix(self, objects: Objects) -> None:
        for key in ("locks/b.json", "locks/a.json", "manifests/a.json"):
            objects.put(key, b"")
        assert sorted(objects.keys("locks/")) == ["locks/a.json", "locks/b.json"]
        assert objects.keys("none/") == ()


def test_a_bucket_that_does_not_exist_is_an_error(aws: Aws, clock: FakeClock) -> None:
    objects = S3Objects(aws.session, "slipway-nowhere", clock)
    with pytest.raises(NotFound) as caught:
        objects.get("a")
    assert caught.value.code == "NoSuchBucket"
    with pytest.raises(NotFound):
        objects.put("a", b"", if_none_match=True)


def test_keys_come_from_all_pages(aws: Aws, clock: FakeClock) -> None:
    aws.s3.create_bucket(Bucket=BUCKET)
    for number in range(5):
        aws.s3.put_object(Bucket=BUCKET, Key=f"k/{number}", Body=b"")
    event = "provide-client-params.s3.ListObjectsV2"
    aws.s3.meta.events.register(event, lambda params, **_: params | {"MaxKeys": 2}, "two-a-page")
    try:
        assert len(S3Objects(aws.session, BUCKET, clock).keys("k/")) == 5
    finally:
        aws.s3.meta.events.unregister(event, unique_id="two-a-page")


def test_a_condition_that_s3_could_not_decide_is_asked_again(aws: Aws, clock: FakeClock) -> None:
    with Stubber(aws.s3) as stubber:
        stubber.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
        stubber.add_response("put_object", {"ETag": '"1"'})
        assert S3Objects(aws.session, BUCKET, clock).put("a", b"", if_none_match=True) == '"1"'
        stubber.assert_no_pending_responses()
    assert len(clock.slept) == 1
