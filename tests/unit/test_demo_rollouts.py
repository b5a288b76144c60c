# SPDX-License-Identifier: Apache-2.0
"""The demo rolls a fleet to its next image and has a bad one taken back, under a load that must not fail."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.domain.rollout.record import Phase
from orchestrator.errors import RolledBack, Stranded
from orchestrator.ports import LoadReport, LoadRequest
from orchestrator.workflows import demo as workflow
from orchestrator.workflows.demo.rollouts import LEAST_REQUESTS, load_text
from tests.fakes.fleets import Trouble
from tests.unit.bake_world import FakeWorld
from tests.unit.rollout_world import Lab

ADDRESSES = ("198.51.100.1", "198.51.100.2")


@dataclass
class FakeLoad:
    """A load that has some hundred requests more whenever it is asked; `failing` of them fail."""

    failing: int = 0
    asked: list[LoadRequest] = field(default_factory=list)
    running: int = 0

    @contextmanager
    def on(self, request: LoadRequest) -> Iterator[FakeLoad]:
        self.asked.append(request)
        self.running += 1
        self._requests = 0
        yield self
        self.running -= 1

    def report(self) -> LoadReport:
        self._requests += 300
        examples = ("request 7 to 198.51.100.1: status 503 after 0.010 s",) if self.failing else ()
        return LoadReport(self._requests, self.failing, {"200": self._requests}, examples=examples)


@dataclass(frozen=True)
class Made(workflow.Variants):
    """Images that were baked; which of them were removed is noted."""

    removed: list[str]

    def remove(self, name: str) -> None:
        self.removed.append(name)


@dataclass
class Stage:
    """The fleet's lab, with a bad third image, and the demo's rollouts in it."""

    folder: Path
    lab: Lab = field(default_factory=Lab)
    load: FakeLoad = field(default_factory=FakeLoad)
    removed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lab.clock.advance(60)
        self.broken = self.lab.images.add(f"api-{'c' * 32}", {"slipway:state": "published"}).ami_id
        known = self.lab.facts.made_images
        known[self.broken] = type(known[self.lab.new])(
            **{
                **{name: getattr(known[self.lab.new], name) for name in known[self.lab.new].__slots__},
                "ami_id": self.broken,
            }
        )
        # The third version of the launch template is the second one that rollouts make.
        self.lab.fleets.trouble[3] = Trouble.TARGET_HEALTH

    @property
    def demo(self) -> workflow.RolloutDemo:
        return workflow.RolloutDemo(
            self.lab.world(), self.load, self.lab.shown.append, ADDRESSES, "dev.example.com"
        )

    def roll(self) -> tuple[workflow.Rolled, ...]:
        return workflow.roll_both(self.demo, self.variants, self.lab.reporter)

    @property
    def variants(self) -> Made:
        ids = {"next": self.lab.new, "broken": self.broken}
        begun = {name: there(ids[name]) for name in workflow.variants_wanted(self.demo)}
        return Made(FakeWorld(self.folder).world(), begun, self.removed)


def there(ami_id: str) -> Future[str]:
    future: Future[str] = Future()
    future.set_result(ami_id)
    return future


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_good_image_stays_and_a_bad_one_is_taken_back_and_removed(stage: Stage) -> None:
    good, bad = stage.roll()
    assert (good.ami_id, good.phase) == (stage.lab.new, Phase.SUCCEEDED)
    assert (bad.ami_id, bad.phase) == (stage.broken, Phase.ROLLED_BACK)
    assert stage.lab.pointer == stage.lab.new
    assert stage.lab.versions == [2, 2, 2, 2]
    assert stage.removed == ["broken"]


def test_each_is_under_load_long_enough_and_through_every_zone(stage: Stage) -> None:
    rolled = stage.roll()
    assert [each.report.requests >= LEAST_REQUESTS for each in rolled if each.report] == [True, True]
    assert [each.addresses for each in stage.load.asked] == [ADDRESSES, ADDRESSES]
    assert stage.load.running == 0


def test_a_second_demo_has_nothing_to_roll(stage: Stage) -> None:
    stage.roll()
    begun = len(stage.load.asked)
    [again] = stage.roll()
    assert (again.ami_id, again.report) == (stage.lab.new, None)
    assert len(stage.load.asked) == begun
    assert again.line() == f"the next image {stage.lab.new} was rolled out by an earlier demo"


def test_a_failed_request_is_told_with_what_failed(stage: Stage) -> None:
    stage.load.failing = 1
    with pytest.raises(Stranded, match="status 503 after 0.010 s") as caught:
        stage.roll()
    assert caught.value.exit_code == 8


def test_a_next_image_that_is_bad_ends_the_demo(stage: Stage) -> None:
    stage.lab.fleets.trouble[2] = Trouble.TARGET_HEALTH
    with pytest.raises(RolledBack):
        stage.roll()
    assert stage.lab.pointer == stage.lab.old


def test_a_bad_image_that_nobody_notices_ends_the_demo(stage: Stage) -> None:
    stage.lab.fleets.trouble.clear()
    with pytest.raises(Stranded, match="nobody noticed"):
        stage.roll()


def test_a_killed_demo_is_gone_on_with(stage: Stage) -> None:
    """The one before died while the bad image was rolled out."""

    class Killed(BaseException):
        pass

    def die(progress: object) -> None:
        if len(stage.lab.shown) > 6:
            raise Killed
        stage.lab.shown.append(progress)  # type: ignore[arg-type]

    stage.lab.roll(stage.lab.new)
    seen = len(stage.lab.shown)
    stage.lab.shown.clear()
    with pytest.raises(Killed):
        workflow.roll_both(
            workflow.RolloutDemo(stage.lab.world(), stage.load, die, ADDRESSES, "dev.example.com"),
            stage.variants,
            stage.lab.reporter,
        )
    assert seen
    stage.lab.clock.advance(120)
    [again] = stage.roll()
    assert (again.phase, stage.lab.pointer) == (Phase.SUCCEEDED, stage.lab.new)
    assert stage.lab.record.phase is Phase.ROLLED_BACK
    assert stage.lab.versions == [2, 2, 2, 2]


def test_a_load_is_told_in_a_line() -> None:
    report = LoadReport(5880, 0, {"200": 5880}, images={"api-a": 4410, "api-b": 1470}, slowest_s=0.021)
    assert load_text(report) == ("5,880 requests, 0 failed, slowest 0.021 s; 75 % by api-a, 25 % by api-b")
