# SPDX-License-Identifier: Apache-2.0
"""Kill a bake with all its programs, right after the region has carried out a call; then `invoke gc`.

A bake makes about fifty calls. Their number varies with how often something is waited for, and a call that
only reads leaves the region as it was: so each call that changes something is a point to die at, and of
those that read the first of each kind. A clean bake is recorded to prove that none is missing from the list.
Each lane has a region and a project of its own, so that lanes work side by side and compare all of theirs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.sandbox.bake.conftest import WRITE, with_region
from tests.sandbox.bake.holdings import Account, difference
from tests.sandbox.bake.project import PATIENCE_S, Project, ended
from tests.sandbox.bake.relay import Relay, is_read, kill_all_of

pytestmark = pytest.mark.sandbox

LANES = 3
SUBJECT = "subject"
# (call, which one of its name), as a bake makes them.
UNPUBLISHED = (
    ("DescribeImages", 1),
    ("GetCallerIdentity", 1),
    ("DescribeSubnets", 1),
    ("PAGE operator-address", 1),
    ("PutObject locks", 1),
    ("ImportKeyPair", 1),
    ("CreateSecurityGroup", 1),
    ("AuthorizeSecurityGroupIngress", 1),
    ("DescribeSecurityGroups", 1),
    ("RunInstances", 1),
    ("DescribeInstances", 1),
    ("StopInstances", 1),
    ("CreateImage", 1),
    ("CreateTags", 1),
    ("CreateTags", 2),
    ("TerminateInstances", 1),
    ("DescribeVolumes", 1),
    ("RunInstances", 2),
    ("GetConsoleOutput", 1),
    ("TerminateInstances", 2),
    ("PutObject images", 1),
)
PUBLISHED = (
    ("CreateTags", 3),
    ("DeleteSecurityGroup", 1),
    ("DeleteKeyPair", 1),
    ("DeleteObject locks", 1),
)
# Where everything exists at once.
WITH_MOST = ("RunInstances", 2)


@dataclass
class Lane:
    """A region, a project, and what must be in the region before and after each case."""

    project: Project
    relay: Relay
    account: Account
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Have what no clean-up may touch: a published image, and what others made without our tags."""
        self.project.add_class("published", WRITE, files={"files/written": "published\n"})
        self.project.add_class(SUBJECT, WRITE, files={"files/written": "new\n"})
        self.project.bake("published", port=self.relay.port).done()
        self.calls = list(self.relay.calls)
        ec2 = self.account.client("ec2")
        subnet = ec2.describe_subnets(Filters=[{"Name": "tag:slipway:tier", "Values": ["public"]}])[
            "Subnets"
        ][0]
        group = ec2.create_security_group(GroupName="foreign", Description="x", VpcId=subnet["VpcId"])
        ec2.create_key_pair(KeyName="foreign")
        source = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
        machine = ec2.run_instances(
            ImageId=source,
            MinCount=1,
            MaxCount=1,
            InstanceType="t3.small",
            SubnetId=subnet["SubnetId"],
            SecurityGroupIds=[group["GroupId"]],
            KeyName="foreign",
        )["Instances"][0]["InstanceId"]
        ec2.get_waiter("instance_running").wait(InstanceIds=[machine], WaiterConfig={"Delay": 1})
        ami_id = ec2.create_image(InstanceId=machine, Name="foreign-1", NoReboot=True)["ImageId"]
        ec2.get_waiter("image_available").wait(ImageIds=[ami_id], WaiterConfig={"Delay": 1})
        self.before = self.account.holdings()

    def kill_and_clean_up(self, point: tuple[str, int]) -> Outcome:
        """Kill a bake at a point, remove what it left, and tell what there is then."""
        call, occurrence = point
        self.project.write(f"roles/do_{SUBJECT}/files/written", f"{call} {occurrence}\n")
        self.relay.forget()
        self.before = self.account.holdings()
        bake = self.project.start("bake-ami", "--server-class", SUBJECT, port=self.relay.port)
        self.relay.kill_after(call, occurrence, lambda: kill_all_of(bake.pid))
        told = ended(bake)
        was_killed = self.relay.has_killed.is_set() and told.status == -9
        left = difference(self.before, self.account.holdings())
        gc = self.project.run("gc", "--yes", "--json")
        remains = difference(self.before, self.account.holdings())
        return Outcome(was_killed, left, gc.status, gc.stderr, remains, self.project.run_folders, told.stderr)


@dataclass(frozen=True)
class Outcome:
    """What a killed bake left, and what was there once it was cleaned up."""

    was_killed: bool
    left: dict[str, Any]
    gc_status: int
    gc_stderr: str
    remains: dict[str, Any]
    run_folders: Sequence[str]
    stderr: str


class Lanes:
    """Lanes, each working on one case at a time."""

    def __init__(self, lanes: Sequence[Lane], pool: ThreadPoolExecutor) -> None:
        self.all = lanes
        self._free = list(lanes)
        self._pool = pool
        self._lock = threading.Lock()

    def submit(self, work: Callable[[Lane], Outcome]) -> Future[Outcome]:
        """Do some work on the first lane that is free."""
        return self._pool.submit(self._on_free_lane, work)

    def _on_free_lane(self, work: Callable[[Lane], Outcome]) -> Outcome:
        with self._lock:
            lane = self._free.pop()
        try:
            return work(lane)
        finally:
            with self._lock:
                self._free.append(lane)


@pytest.fixture(name="lanes", scope="module")
def fixture_lanes(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    """Regions that are all prepared."""
    with ExitStack() as stack, ThreadPoolExecutor(LANES) as pool:
        lanes = []
        for number in range(LANES):
            project = stack.enter_context(with_region(tmp_path_factory.mktemp(f"lane{number}") / "project"))
            relay = stack.enter_context(Relay(project.port).running())
            lanes.append(Lane(project, relay, Account(project.port)))
        list(pool.map(Lane.prepare, lanes))
        yield Lanes(lanes, pool)
        pool.shutdown(cancel_futures=True)


@pytest.fixture(name="outcomes", scope="module")
def fixture_outcomes(lanes: Lanes, request: pytest.FixtureRequest) -> dict[tuple[str, int], Future[Outcome]]:
    """The outcomes of the cases that were selected, which are worked on side by side."""
    points = [
        item.callspec.params["point"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.path == request.path
        and "point" in getattr(getattr(item, "callspec", None), "params", {})
    ]
    points = list(dict.fromkeys([*points, WITH_MOST]))
    return {point: lanes.submit(lambda lane, it=point: lane.kill_and_clean_up(it)) for point in points}


def name_of(point: tuple[str, int]) -> str:
    """Return how a case is called."""
    return "-".join(map(str, point)).replace(" ", "-")


def test_every_call_of_a_bake_is_on_the_list(lanes: Lanes) -> None:
    calls = lanes.all[0].calls
    made = {(call, calls[: at + 1].count(call)) for at, call in enumerate(calls)}
    must = {(call, number) for call, number in made if number == 1 or not is_read(call)}
    # The group is deleted again and again until its last machine has gone; a lock is renewed on slow hosts.
    repeated = {("DeleteSecurityGroup", 1), ("PutObject locks", 1)}
    must = {point for point in must if (point[0], 1) not in repeated or point in repeated}
    assert must == set(UNPUBLISHED + PUBLISHED)


@pytest.mark.parametrize("point", UNPUBLISHED, ids=name_of)
def test_gc_removes_all_that_a_killed_bake_left(
    outcomes: dict[tuple[str, int], Future[Outcome]], point: tuple[str, int]
) -> None:
    outcome = outcomes[point].result(3 * PATIENCE_S)
    assert outcome.was_killed, outcome.stderr
    assert outcome.gc_status == 0, outcome.gc_stderr
    assert outcome.remains == {}
    assert outcome.run_folders == []


@pytest.mark.parametrize("point", PUBLISHED, ids=name_of)
def test_gc_keeps_an_image_that_was_published_before_the_kill(
    outcomes: dict[tuple[str, int], Future[Outcome]], point: tuple[str, int]
) -> None:
    outcome = outcomes[point].result(3 * PATIENCE_S)
    assert outcome.was_killed, outcome.stderr
    assert outcome.gc_status == 0, outcome.gc_stderr
    assert sorted(outcome.remains) == ["+ images", "+ objects", "+ snapshots"]
    ((name, tags),) = outcome.remains["+ images"].values()
    assert (name.startswith(f"{SUBJECT}-"), tags["slipway:state"]) == (True, "published")
    assert list(outcome.remains["+ objects"]) == [f"images/{name}.json"]
    ((snapshot_tags),) = outcome.remains["+ snapshots"].values()
    assert snapshot_tags == tags
    assert outcome.run_folders == []


def test_a_killed_bake_leaves_something_to_remove(
    outcomes: dict[tuple[str, int], Future[Outcome]],
) -> None:
    """Otherwise the others would prove nothing."""
    left = outcomes[WITH_MOST].result(3 * PATIENCE_S).left
    assert sorted(left) == ["+ groups", "+ images", "+ keys", "+ machines", "+ snapshots", "+ volumes"]


def test_a_bake_goes_on_with_the_candidate_of_a_killed_one(lanes: Lanes) -> None:
    lanes.submit(_resume).result(3 * PATIENCE_S)


def _resume(lane: Lane) -> Outcome:
    project, relay, account = lane.project, lane.relay, lane.account
    project.write(f"roles/do_{SUBJECT}/files/written", "resumed\n")
    before = account.holdings()
    relay.forget()
    bake = project.start("bake-ami", "--server-class", SUBJECT, port=relay.port)
    relay.kill_after("GetConsoleOutput", 1, lambda: kill_all_of(bake.pid))
    assert ended(bake).status == -9
    (candidate,) = difference(before, account.holdings())["+ images"]
    plan = project.bake(SUBJECT, options=["--dry-run"]).done()["classes"][0]
    assert (plan["action"], plan["reason"]) == ("resume", "its candidate waits for the boot test")
    relay.forget()
    told = project.bake(SUBJECT, port=relay.port).done()["classes"][0]
    assert (told["fate"], told["ami_id"]) == ("published", candidate)
    assert relay.calls.count("RunInstances") == 1
    assert "CreateImage" not in relay.calls
    assert project.run("gc", "--yes").status == 0
    remains = difference(before, account.holdings())
    assert sorted(remains) == ["+ images", "+ objects", "+ snapshots"]
    assert list(remains["+ images"]) == [candidate]
    return Outcome(True, {}, 0, "", remains, project.run_folders, "")
