# SPDX-License-Identifier: Apache-2.0
"""The whole bake on fakes: order, failures of every step, and that nothing temporary remains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.errors import AwsError, BootTestFailed, Refused, RemoteError, SlipwayError
from orchestrator.workflows import bake_ami
from orchestrator.workflows.bake_ami.result import Fate
from tests.unit.bake_world import DEBIAN, NOTHING, RUN_ID, FakeWorld, write_project


@pytest.fixture(name="fake")
def fixture_fake(tmp_path: Path) -> FakeWorld:
    """A project of base, api and worker on it, and lone beside it."""
    write_project(tmp_path, {"base": None, "api": "base", "worker": "base", "lone": None})
    return FakeWorld(tmp_path)


def bake(fake: FakeWorld, *names: str, is_forced: bool = False) -> bake_ami.BakeResult:
    """Plan and bake."""
    world = fake.world()
    plan = bake_ami.observe_and_plan(world, bake_ami.BakeRequest(names, is_forced=is_forced))
    return bake_ami.apply(world, plan, fake.reporter)


def test_all_are_published_parents_first(fake: FakeWorld) -> None:
    result = bake(fake)
    assert [(each.name, each.fate) for each in result.classes.values()] == [
        ("base", Fate.PUBLISHED),
        ("lone", Fate.PUBLISHED),
        ("api", Fate.PUBLISHED),
        ("worker", Fate.PUBLISHED),
    ]
    assert set(fake.states.values()) == {"published"}
    assert fake.temporary == NOTHING
    base = result.classes["base"]
    by_class = {request.class_name: request for request in fake.builder.requests}
    assert by_class["api"].source_ami_id == base.ami_id
    assert by_class["api"].tags["slipway:parent"] == base.image_name
    assert by_class["base"].tags == {
        "slipway:class": "base",
        "slipway:bake-key": base.image_name.removeprefix("base-"),
        "slipway:parent": DEBIAN,
        "slipway:state": "candidate",
        "slipway:run": RUN_ID,
    }
    assert sorted(fake.objects.objects) == sorted(
        f"images/{each.image_name}.json" for each in result.classes.values()
    )


def test_a_second_bake_reads_twice_and_does_nothing(fake: FakeWorld) -> None:
    bake(fake, "api")
    fake.images.calls.clear()
    fake.machines.calls.clear()
    plan = bake_ami.observe_and_plan(fake.world(), bake_ami.BakeRequest(("api",)))
    assert plan.is_empty
    assert (fake.images.calls, fake.machines.calls) == (["source", "by_class"], [])


def test_the_builder_admits_one_address_and_one_key(fake: FakeWorld) -> None:
    seen = []
    fake.builder.after_call = lambda name: seen.append(
        ([group.admits for group in fake.machines.groups.values()], list(fake.machines.keys))
    )
    bake(fake, "lone")
    assert seen == [([("192.0.2.1/32", (22,))], [f"slipway-{RUN_ID}-lone"])]


def test_a_failing_parent_skips_its_children_and_no_others(fake: FakeWorld) -> None:
    fake.builder.fail("build", RemoteError("bake base with packer", status=1, output=("no such package",)))
    world = fake.world()
    plan = bake_ami.observe_and_plan(world, bake_ami.BakeRequest(("api", "worker")))
    with pytest.raises(RemoteError) as failure:
        bake_ami.apply(world, plan, fake.reporter)
    assert str(failure.value).splitlines() == [
        "error: bake base with packer: exit code 1",
        "  | no such package.",
        "state: base: failed; api: skipped, its parent failed; worker: skipped, its parent failed.",
    ]
    assert fake.states == {}
    assert fake.temporary == NOTHING
    assert fake.reporter.of("failed") == [("base", "RemoteError")]


def test_a_class_that_stands_elsewhere_is_baked_although_another_fails(fake: FakeWorld) -> None:
    fake.builder.refuses = frozenset({"base"})
    with pytest.raises(RemoteError) as failure:
        bake(fake)
    (ami_id,) = fake.images.images
    lone = fake.images.images[ami_id]
    # Threads share the fake clock, so how long each took is anybody's guess.
    assert re.sub(r" in \d+ s", "", failure.value.state) == (
        f"base: failed; lone: published, {ami_id} ({lone.name}); "
        "api: skipped, its parent failed; worker: skipped, its parent failed"
    )
    assert fake.states == {"lone": "published"}
    assert fake.temporary == NOTHING


def test_every_failure_is_told(fake: FakeWorld) -> None:
    fake.builder.fail("build", RemoteError("one", status=1), RemoteError("two", status=2))
    with pytest.raises(RemoteError) as failure:
        bake(fake, "base", "lone")
    noted = [text for _, text in fake.reporter.of("note")]
    assert sorted([failure.value.what, noted[0].splitlines()[0]]) in (
        ["error: two: exit code 2.", "one"],
        ["error: one: exit code 1.", "two"],
    )
    assert failure.value.state == "base: failed; lone: failed"


def test_a_failed_boot_test_takes_the_candidate_back(fake: FakeWorld) -> None:
    fake.report["failed_units"] = [{"name": "x.service", "journal": ["it broke"]}]
    fake.report["system_state"] = "degraded"
    with pytest.raises(BootTestFailed) as failure:
        bake(fake, "lone")
    assert failure.value.findings == ("unit x.service: failed\n  it broke",)
    assert failure.value.state == "lone: failed"
    assert (fake.states, fake.images.snapshots, fake.objects.objects) == ({}, {}, {})
    assert fake.temporary == NOTHING


def throttled(operation: str) -> AwsError:
    """Have an error of AWS."""
    return AwsError("ec2", operation, "RequestLimitExceeded", "too many")


@pytest.mark.parametrize(
    ("port", "call"),
    [
        ("machines", "import_key"),
        ("machines", "create_security_group"),
        ("builder", "build"),
        ("machines", "run"),
        ("machines", "describe"),
        ("machines", "console_output"),
        ("shells", "connect"),
        ("objects", "put"),
        ("images", "tag"),
    ],
)
def test_whatever_fails_nothing_remains(fake: FakeWorld, port: str, call: str) -> None:
    getattr(fake, port).fail(call, throttled(call))
    with pytest.raises(AwsError) as failure:
        bake(fake, "lone")
    assert failure.value.operation == call
    assert (fake.states, fake.images.snapshots, fake.objects.objects) == ({}, {}, {})
    assert fake.temporary == NOTHING


def test_a_candidate_is_resumed_without_building(fake: FakeWorld) -> None:
    world = fake.world()
    plan = bake_ami.observe_and_plan(world, bake_ami.BakeRequest(("lone",)))
    tags = {"slipway:state": "candidate", "slipway:run": "bake-dead", "slipway:class": "lone"}
    candidate = fake.images.add(plan.classes[0].image_name, tags)
    result = bake(fake, "lone")
    assert result.classes["lone"].ami_id == candidate.ami_id
    assert fake.builder.requests == []
    assert fake.states == {"lone": "published"}


def test_what_a_dead_bake_left_untagged_is_replaced(fake: FakeWorld) -> None:
    world = fake.world()
    plan = bake_ami.observe_and_plan(world, bake_ami.BakeRequest(("lone",)))
    left = fake.images.add(plan.classes[0].image_name)
    result = bake(fake, "lone")
    assert result.classes["lone"].ami_id != left.ami_id
    assert list(fake.images.images) == [result.classes["lone"].ami_id]


def test_what_somebody_published_meanwhile_is_taken(fake: FakeWorld) -> None:
    world = fake.world()
    plan = bake_ami.observe_and_plan(world, bake_ami.BakeRequest(("lone",)))
    theirs = fake.images.add(plan.classes[0].image_name, {"slipway:state": "published"})
    result = bake_ami.apply(world, plan, fake.reporter)
    assert result.classes["lone"].ami_id == theirs.ami_id
    assert fake.builder.requests == []


def test_a_class_that_somebody_bakes_is_refused(fake: FakeWorld) -> None:
    fake.locks.hold_for_other("bake/sandbox/lone", "bake-other")
    with pytest.raises(Refused) as failure:
        bake(fake, "lone")
    assert "held by ana on elsewhere (run bake-other)" in failure.value.cause
    assert fake.machines.calls == ["public_subnet"]


def test_nothing_is_published_under_a_lost_lock(fake: FakeWorld) -> None:
    def lose(_: str) -> None:
        fake.locks.given[-1][1].is_lost = True

    fake.shells.after_call = lose
    with pytest.raises(Refused):
        bake(fake, "lone")
    assert (fake.states, fake.objects.objects) == ({}, {})
    assert fake.temporary == NOTHING


def test_another_account_is_refused_before_anything_is_made(fake: FakeWorld) -> None:
    fake.identity.account = "210987654321"
    with pytest.raises(Refused):
        bake(fake, "lone")
    assert (fake.machines.calls, fake.builder.calls, fake.objects.calls) == ([], [], [])


def test_an_interrupt_cleans_up_and_goes_on_unwinding(fake: FakeWorld) -> None:
    fake.builder.fail("build", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        bake(fake, "base", "lone")
    assert fake.programs.terminations == 1
    assert fake.temporary == NOTHING


def test_a_changed_file_is_named(fake: FakeWorld) -> None:
    ami_id = bake(fake, "lone").classes["lone"].ami_id
    (fake.project / "roles/do_lone/tasks/main.yml").write_text("- ansible.builtin.debug:\n")
    plan = bake_ami.observe_and_plan(fake.world(), bake_ami.BakeRequest(("lone",)))
    assert plan.lines() == (f"lone: bake, since {ami_id}: changed roles/do_lone/tasks/main.yml",)


def test_a_lost_manifest_costs_only_the_reason(fake: FakeWorld) -> None:
    ami_id = bake(fake, "lone").classes["lone"].ami_id
    fake.objects.objects.clear()
    (fake.project / "roles/do_lone/tasks/main.yml").write_text("- ansible.builtin.debug:\n")
    plan = bake_ami.observe_and_plan(fake.world(), bake_ami.BakeRequest(("lone",)))
    assert plan.lines() == (f"lone: bake, differs from its newest image {ami_id}",)


def test_errors_are_slipways(fake: FakeWorld) -> None:
    with pytest.raises(SlipwayError) as failure:
        bake(fake, "nobody")
    assert str(failure.value).splitlines() == [
        "error: packer/images.yaml: classes.nobody: there is no such class; "
        "there are api, base, lone, worker",
        "state: nothing was called.",
    ]
