# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Locks, on the fake and on objects of a bucket, in memory and on S3."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.aws.objects import S3Objects
from orchestrator.errors import Refused
from orchestrator.locks import ObjectLocks
from orchestrator.ports import Locks, Objects
from tests.contract.conftest import Aws
from tests.fakes import FakeClock, FakeLocks, FakeObjects

BUCKET = "slipway-locks"
Make = Callable[[], Locks]


@pytest.fixture(params=["fake", "objects", "s3"])
def operators(request: pytest.FixtureRequest, clock: FakeClock) -> Make:
    """Return what gives each operator their own view of the same locks."""
    if request.param == "fake":
        fake = FakeLocks(clock)
        return lambda: fake
    objects: Objects = FakeObjects()
    if request.param == "s3":
        aws: Aws = request.getfixturevalue("aws")
        aws.s3.create_bucket(Bucket=BUCKET)
        aws.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        objects = S3Objects(aws.session, BUCKET, clock)
    return lambda: ObjectLocks(objects, clock)


class TestLocks:
    def test_a_held_lock_is_refused_and_names_its_run(self, operators: Make) -> None:
        first, second = operators(), operators()
        with (
            first.hold("sandbox/bake/api", "run-1"),
            pytest.raises(Refused, match="run-1"),
            second.hold("sandbox/bake/api", "run-2"),
        ):
            pytest.fail("two hold the same lock")

    def test_a_released_lock_can_be_taken(self, operators: Make) -> None:
        with operators().hold("sandbox/bake/api", "run-1"):
            pass
        with operators().hold("sandbox/bake/api", "run-2") as held:
            held.check()

    def test_a_lock_is_released_when_the_block_fails(self, operators: Make) -> None:
        with pytest.raises(KeyError), operators().hold("sandbox/bake/api", "run-1"):
            raise KeyError
        with operators().hold("sandbox/bake/api", "run-2") as held:
            held.check()

    def test_locks_of_other_names_do_not_matter(self, operators: Make) -> None:
        with (
            operators().hold("sandbox/bake/api", "run-1"),
            operators().hold("sandbox/bake/base", "run-1") as held,
        ):
            held.check()

    def test_current_locks_are_listed_by_prefix(self, operators: Make, clock: FakeClock) -> None:
        with operators().hold("sandbox/bake/api", "run-1"), operators().hold("qa/bake/api", "run-2"):
            (lock,) = operators().current("sandbox/bake/")
            assert (lock.name, lock.owner.run_id, lock.taken_at) == ("sandbox/bake/api", "run-1", clock.now())
            assert lock.expires_at > clock.now()
        assert operators().current("") == ()
