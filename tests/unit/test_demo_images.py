# SPDX-License-Identifier: Apache-2.0
"""The demo bakes variants of an image beside other work, in turn, and takes the bad one away."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import RemoteError
from orchestrator.workflows.demo import baking
from tests.unit.bake_world import NOTHING, FakeWorld, write_project

SEALED = "- hosts: all\n  roles: [do_api, image_facts, image_seal]\n"
TASKS = "- ansible.builtin.debug: {{msg: {name}}}\n"


@pytest.fixture
def fake(tmp_path: Path) -> FakeWorld:
    write_project(tmp_path, {"base": None, "api": "base"})
    files = {"playbooks/images/api.yml": SEALED}
    files |= {
        f"roles/{name}/tasks/main.yml": TASKS.format(name=name) for name in ("image_facts", "image_seal")
    }
    files |= {
        f"examples/demo_images/{name}/tasks/main.yml": TASKS.format(name=name) for name in ("next", "broken")
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return FakeWorld(tmp_path)


def published(fake: FakeWorld) -> list[str]:
    return [
        each.ami_id
        for each in fake.images.images.values()
        if each.name.startswith("api-") and each.is_published
    ]


def test_variants_are_images_of_their_own_and_leave_nothing_else(fake: FakeWorld) -> None:
    with baking(fake.world(), ("next", "broken"), fake.reporter) as variants:
        ids = [variants.ami_id("next"), variants.ami_id("broken")]
    assert sorted(published(fake)) == sorted(ids)
    assert len(set(ids)) == 2
    assert fake.temporary == NOTHING
    runs = {each.run_tags["slipway:run"] for each in fake.builder.requests if each.class_name == "api"}
    assert len(runs) == 2


def test_what_is_there_is_not_baked_again(fake: FakeWorld) -> None:
    with baking(fake.world(), ("next",), fake.reporter) as variants:
        first = variants.ami_id("next")
    built = len(fake.builder.requests)
    with baking(fake.world(), ("next",), fake.reporter) as variants:
        assert variants.ami_id("next") == first
    assert len(fake.builder.requests) == built


def test_a_variant_is_removed_also_by_a_later_run_that_did_not_bake_it(fake: FakeWorld) -> None:
    with baking(fake.world(), ("next", "broken"), fake.reporter) as variants:
        kept = variants.ami_id("next")
    with baking(fake.world(), ("next",), fake.reporter) as variants:
        variants.remove("broken")
        variants.remove("broken")
    assert published(fake) == [kept]


def test_an_image_that_cannot_be_baked_is_told_when_it_is_asked_for(fake: FakeWorld) -> None:
    fake.builder.refuses = frozenset({"api"})
    with (
        pytest.raises(RemoteError),
        baking(fake.world(), ("next",), fake.reporter) as variants,
    ):
        variants.ami_id("next")
    assert fake.temporary == NOTHING


def test_steps_are_told_by_the_name_of_the_variant(fake: FakeWorld) -> None:
    with baking(fake.world(), ("next",), fake.reporter) as variants:
        variants.ami_id("next")
    tasks = {line[1] for line in fake.reporter.lines if line[0] in ("step", "done")}
    assert tasks == {"next image", "next image's base"}
