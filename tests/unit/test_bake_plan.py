# SPDX-License-Identifier: Apache-2.0
"""What a bake decides to do, from what images are made of and which there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.bake_key import bake_key
from orchestrator.domain.image import Image, ImageState, ImageStatus, SourceImage, image_name
from orchestrator.workflows.bake_ami.plan import Action, ClassInputs, explain_changes, make_plan

DEBIAN = SourceImage("ami-debian", "debian-12-amd64-20260101-1", "136693071363")
BASE = ClassInputs("base", "playbooks/images/base.yml", None, DEBIAN, {"a": "1"})
API = ClassInputs("api", "playbooks/images/api.yml", "base", None, {"b": "1"})
LEVELS = ((BASE,), (API,))
BASE_KEY = bake_key(BASE.files, DEBIAN.name)
BASE_NAME = image_name("base", BASE_KEY)
API_KEY = bake_key(API.files, BASE_NAME)
API_NAME = image_name("api", API_KEY)
OLD_KEY = "0" * 32
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def image(
    class_name: str,
    key: str,
    *,
    state: ImageState | None = ImageState.PUBLISHED,
    status: ImageStatus = ImageStatus.AVAILABLE,
    revision: int = 0,
) -> Image:
    """Have an image."""
    name = image_name(class_name, key, revision)
    return Image(
        ami_id=f"ami-{class_name}-{key[:4]}-{revision}",
        name=name,
        class_name=class_name,
        bake_key=key,
        status=status,
        created_at=FIRST + timedelta(days=revision),
        revision=revision,
        tags={"slipway:state": state.value} if state else {},
    )


BASE_DONE = image("base", BASE_KEY)
API_DONE = image("api", API_KEY)

# images, forced classes -> (action, image name, reason) of base and of api
Row = tuple[Action, str, str]
UP_TO_DATE: tuple[Row, Row] = ((Action.UP_TO_DATE, BASE_NAME, ""), (Action.UP_TO_DATE, API_NAME, ""))
BASE_FORCED = f"{BASE_NAME}.1"
DECISIONS: dict[str, tuple[tuple[Image, ...], frozenset[str], tuple[Row, Row]]] = {
    "nothing there": (
        (),
        frozenset(),
        ((Action.BAKE, BASE_NAME, "no image yet"), (Action.BAKE, API_NAME, "no image yet")),
    ),
    "all there": ((BASE_DONE, API_DONE), frozenset(), UP_TO_DATE),
    "child is missing": (
        (BASE_DONE,),
        frozenset(),
        (UP_TO_DATE[0], (Action.BAKE, API_NAME, "no image yet")),
    ),
    "only older images": (
        (image("base", OLD_KEY), image("api", OLD_KEY)),
        frozenset(),
        (
            (Action.BAKE, BASE_NAME, "differs from its newest image ami-base-0000-0"),
            (Action.BAKE, API_NAME, "differs from its newest image ami-api-0000-0"),
        ),
    ),
    "a candidate waits": (
        (BASE_DONE, image("api", API_KEY, state=ImageState.CANDIDATE)),
        frozenset(),
        (UP_TO_DATE[0], (Action.RESUME, API_NAME, "its candidate waits for the boot test")),
    ),
    "a candidate is not finished": (
        (BASE_DONE, image("api", API_KEY, state=ImageState.CANDIDATE, status=ImageStatus.PENDING)),
        frozenset(),
        (UP_TO_DATE[0], (Action.BAKE, API_NAME, "no image yet")),
    ),
    "an image without tags": (
        (BASE_DONE, image("api", API_KEY, state=None)),
        frozenset(),
        (UP_TO_DATE[0], (Action.BAKE, API_NAME, "no image yet")),
    ),
    "a published image that EC2 lost": (
        (BASE_DONE, image("api", API_KEY, status=ImageStatus.FAILED)),
        frozenset(),
        (UP_TO_DATE[0], (Action.BAKE, API_NAME, "no image yet")),
    ),
    "a candidate of other contents": (
        (BASE_DONE, image("api", OLD_KEY, state=ImageState.CANDIDATE)),
        frozenset(),
        (UP_TO_DATE[0], (Action.BAKE, API_NAME, "no image yet")),
    ),
    "child is forced": (
        (BASE_DONE, API_DONE),
        frozenset({"api"}),
        (
            UP_TO_DATE[0],
            (Action.BAKE, f"{API_NAME}.1", f"forced although {API_DONE.ami_id} is up to date"),
        ),
    ),
    "child is forced a second time": (
        (BASE_DONE, image("api", API_KEY, revision=1), API_DONE),
        frozenset({"api"}),
        (
            UP_TO_DATE[0],
            (Action.BAKE, f"{API_NAME}.2", f"forced although ami-api-{API_KEY[:4]}-1 is up to date"),
        ),
    ),
    "forced although a candidate waits": (
        (BASE_DONE, image("api", API_KEY, state=ImageState.CANDIDATE)),
        frozenset({"api"}),
        (UP_TO_DATE[0], (Action.BAKE, API_NAME, "no image yet")),
    ),
    "parent is forced": (
        (BASE_DONE, API_DONE),
        frozenset({"base"}),
        (
            (Action.BAKE, BASE_FORCED, f"forced although {BASE_DONE.ami_id} is up to date"),
            (
                Action.BAKE,
                image_name("api", bake_key(API.files, BASE_FORCED)),
                f"differs from its newest image {API_DONE.ami_id}",
            ),
        ),
    ),
    "a forced parent stays what children stand on": (
        (
            image("base", BASE_KEY, revision=1),
            BASE_DONE,
            image("api", bake_key(API.files, BASE_FORCED)),
        ),
        frozenset(),
        (
            (Action.UP_TO_DATE, BASE_FORCED, ""),
            (Action.UP_TO_DATE, image_name("api", bake_key(API.files, BASE_FORCED)), ""),
        ),
    ),
}


@pytest.mark.parametrize(("images", "forced", "expected"), DECISIONS.values(), ids=DECISIONS)
def test_decisions(images: tuple[Image, ...], forced: frozenset[str], expected: tuple[Row, Row]) -> None:
    plan = make_plan(LEVELS, images, forced=forced)
    assert tuple((each.action, each.image_name, each.reason) for each in plan.classes) == expected
    assert plan.is_empty == all(action is Action.UP_TO_DATE for action, _, _ in expected)


def test_a_resumed_class_knows_its_candidate_and_a_baked_one_none() -> None:
    candidate = image("api", API_KEY, state=ImageState.CANDIDATE)
    resumed = make_plan(LEVELS, (BASE_DONE, candidate), forced=frozenset()).classes[1]
    forced = make_plan(LEVELS, (BASE_DONE, candidate), forced=frozenset({"api"})).classes[1]
    assert (resumed.candidate, forced.candidate) == (candidate, None)


def test_a_new_public_image_changes_every_class() -> None:
    newer = replace(BASE, source=replace(DEBIAN, name="debian-12-amd64-20260201-1"))
    plan = make_plan(((newer,), (API,)), (BASE_DONE, API_DONE), forced=frozenset())
    assert [each.action for each in plan.classes] == [Action.BAKE, Action.BAKE]


def test_what_an_operator_and_a_program_read() -> None:
    plan = make_plan(LEVELS, (BASE_DONE,), forced=frozenset())
    assert plan.lines() == (
        f"base: up to date, {BASE_DONE.ami_id} ({BASE_NAME})",
        "api: bake, no image yet",
    )
    assert plan.as_dict() == {
        "classes": [
            {
                "class": "base",
                "action": "up to date",
                "image_name": BASE_NAME,
                "ami_id": BASE_DONE.ami_id,
                "reason": "",
            },
            {
                "class": "api",
                "action": "bake",
                "image_name": API_NAME,
                "ami_id": None,
                "reason": "no image yet",
            },
        ]
    }


MANY = {f"f{number}": "1" for number in range(8)}
CHANGES: dict[str, tuple[Mapping[str, str], Mapping[str, str], str, tuple[str, ...]]] = {
    "nothing": ({"a": "1"}, {"a": "1"}, DEBIAN.name, ()),
    "a file": ({"a": "1"}, {"a": "2"}, DEBIAN.name, ("changed a",)),
    "all kinds": (
        {"a": "1", "b": "1"},
        {"a": "2", "c": "1"},
        DEBIAN.name,
        ("changed a", "added c", "removed b"),
    ),
    "many": ({}, MANY, DEBIAN.name, ("added f0, f1, f2, f3, f4 and 3 more",)),
    "what it stands on": (
        {"a": "1"},
        {"a": "1"},
        "debian-old",
        (f"stands on {DEBIAN.name} instead of debian-old",),
    ),
}


@pytest.mark.parametrize(("before", "now", "foundation_before", "expected"), CHANGES.values(), ids=CHANGES)
def test_changes_are_explained(
    before: Mapping[str, str], now: Mapping[str, str], foundation_before: str, expected: tuple[str, ...]
) -> None:
    plan = make_plan(((replace(BASE, files=now),),), (), forced=frozenset()).classes[0]
    assert explain_changes(plan, before, foundation_before=foundation_before) == expected
