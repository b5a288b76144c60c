# SPDX-License-Identifier: Apache-2.0
"""What the words of rollouts mean, and what wrong ones get."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.commands import rollouts, waves
from orchestrator.commands.rollout_words import RolloutWords
from orchestrator.commands.rollout_world import operator
from orchestrator.commands.rollouts import Desk
from orchestrator.commands.stacks import Place
from orchestrator.config.models import Environment
from orchestrator.config.waves import load_waves
from orchestrator.console.rollout import PlainRollout
from orchestrator.domain.refresh import RefreshStatus
from orchestrator.domain.rollout.progress import Progress
from orchestrator.domain.rollout.record import Phase
from orchestrator.domain.rollout.timeline import draw
from orchestrator.errors import ConfigError, NotFound, Refused
from orchestrator.host_process import HostProcess
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.fakes import FakeTemplates
from tests.unit.rollout_world import Lab

PROJECT = Path(__file__).resolve().parents[2]
PLACE = Place(PROJECT, {}, None, lambda project, network: FakeTemplates())
AMI = "ami-0123456789abcdef0"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(RolloutWords(), "rollout: name one of --fleet and --all", id="no fleet"),
        pytest.param(
            RolloutWords(fleet="api", is_all=True), "rollout: --fleet and --all exclude each other", id="both"
        ),
        pytest.param(
            RolloutWords("qa", "api", is_wave=True),
            "rollout: --wave goes through the environments",
            id="wave",
        ),
        pytest.param(
            RolloutWords(is_all=True, ami_id=AMI), "rollout: --ami is an image of one class", id="one for all"
        ),
        pytest.param(RolloutWords(fleet="api", ami_id="ami-XYZ"), "rollout: ami 'ami-XYZ': is not", id="ami"),
        pytest.param(
            RolloutWords(fleet="api", ami_id=AMI + "0"), f"rollout: ami '{AMI}0': is not", id="ami too long"
        ),
    ],
)
def test_words_that_say_nothing_or_too_much_are_refused(words: RolloutWords, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        words.check("rollout", ("worker", "api"))
    assert refused.value.problems[0].startswith(problem)
    again = (
        f"--environment {words.environment_name} --fleet" if not words.is_wave else "--wave --all --dry-run"
    )
    assert refused.value.next_command.startswith(f"invoke rollout {again}")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        RolloutWords("qa", "api", is_all=True, is_wave=True, ami_id="x").check("rollout", ())
    assert len(refused.value.problems) == 4


@pytest.mark.parametrize(
    "words",
    [
        RolloutWords(fleet="api"),
        RolloutWords("qa", is_all=True),
        RolloutWords(fleet="api", is_wave=True, ami_id=AMI),
        RolloutWords(is_all=True, is_wave=True),
        RolloutWords(fleet="api", ami_id="ami-01234567"),
    ],
)
def test_words_that_name_fleets_are_taken(words: RolloutWords) -> None:
    words.check("rollout", ("api",))


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (RolloutWords(fleet="api"), "invoke rollout --environment sandbox --fleet api"),
        (RolloutWords("qa", is_all=True), "invoke rollout --environment qa --all"),
        (
            RolloutWords(fleet="api", is_wave=True, ami_id=AMI),
            f"invoke rollout --fleet api --wave --ami {AMI}",
        ),
    ],
)
def test_words_can_be_typed_again(words: RolloutWords, typed: str) -> None:
    assert words.typed("rollout") == typed


def test_environments_go_by_their_waves() -> None:
    assert [each.name for each in load_waves(PROJECT)] == ["dev", "test", "qa", "production"]


def test_no_waves_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no waves"):
        load_waves(tmp_path)


class Counter:
    """A desk at which a lab's fleet is rolled; keeps what is shown."""

    def __init__(self, lab: Lab, view: type[PlainRollout] = PlainRollout) -> None:
        self.lab = lab
        self.documents: list[object] = []
        self.lines: list[str] = []
        self.joined: list[str] = []
        self.desk = Desk(PLACE, self._join, self._show, view)

    def _join(self, environment: Environment, verb: str) -> RolloutWorld:
        self.joined.append(f"{environment.name} {verb}")
        return self.lab.world()

    def _show(self, document: object, lines: Sequence[str]) -> None:
        self.documents.append(json.loads(json.dumps(document)))
        self.lines += lines


API = RolloutWords("dev", "api")


def test_a_dry_run_shows_the_plan_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    counter = Counter(Lab())
    rollouts.rollout(counter.desk, API, is_dry_run=True, is_confirmed=False)
    assert counter.lines[0] == "dev/api: roll 4 machines of api to a new image (group slipway-dev-api)"
    assert counter.documents[0]["action"] == "start"  # type: ignore[index]
    assert counter.lab.changes() == []
    assert capsys.readouterr().err == ""


def test_a_rollout_shows_its_plan_its_course_and_its_result(capsys: pytest.CaptureFixture[str]) -> None:
    counter = Counter(Lab())
    rollouts.rollout(counter.desk, API, is_dry_run=False, is_confirmed=False)
    told = capsys.readouterr().err
    assert "never fewer than 4" in told
    assert "rollout dev/api: 4/4 machines new" in told
    assert counter.lines[0].startswith("dev/api: every machine runs ami-00000000000000002")
    assert counter.documents[0]["changed"] is True  # type: ignore[index]


def test_nothing_to_do_is_said_without_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    counter = Counter(Lab())
    counter.lab.roll()
    rollouts.rollout(counter.desk, API, is_dry_run=False, is_confirmed=False)
    assert counter.lines == ["dev/api: nothing to do: every machine runs ami-00000000000000002"]
    assert capsys.readouterr().err == ""


def test_a_protected_environment_shows_the_plan_and_wants_a_yes(capsys: pytest.CaptureFixture[str]) -> None:
    counter = Counter(Lab(is_protected=True))
    with pytest.raises(Refused, match="is protected"):
        rollouts.rollout(counter.desk, API, is_dry_run=False, is_confirmed=False)
    assert "never fewer than 4" in capsys.readouterr().err
    assert counter.lab.changes() == []
    rollouts.rollout(counter.desk, API, is_dry_run=False, is_confirmed=True)
    assert counter.lab.versions == [2, 2, 2, 2]


class StopsAtTheCheckpoint(PlainRollout):
    """An operator who presses Ctrl-C when the checkpoint is reached."""

    def show(self, look: Progress) -> None:
        super().show(look)
        if look.checkpoint:
            raise KeyboardInterrupt


@pytest.fixture
def stopped() -> Counter:
    """A rollout whose operator has stopped watching at the checkpoint."""
    lab = Lab(policy={"checkpoint_percentages": (50, 100)})
    with pytest.raises(KeyboardInterrupt) as interrupt:
        desk = Counter(lab, StopsAtTheCheckpoint).desk
        rollouts.rollout(desk, API, is_dry_run=False, is_confirmed=False)
    counter = Counter(lab)
    counter.lines.append(str(interrupt.value))
    return counter


def test_who_stops_watching_learns_what_goes_on_and_how_to_come_back(stopped: Counter) -> None:
    words = "--environment dev --fleet api"
    assert stopped.lines == [
        "a refresh of dev/api that has begun goes on in AWS, and nobody guards it now\n"
        f"next: invoke rollout {words}, to attach to it again\n"
        f"  or: invoke rollout.rollback {words}, to take it back"
    ]
    assert stopped.lab.fleets.refreshes("slipway-dev-api")[0].status is RefreshStatus.IN_PROGRESS


def test_who_comes_back_attaches(stopped: Counter, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    rollouts.rollout(stopped.desk, API, is_dry_run=False, is_confirmed=False)
    assert "dev/api: attach to a rollout that is under way" in capsys.readouterr().err
    assert stopped.lines[-1].startswith("dev/api: every machine runs ami-00000000000000002")
    assert len(stopped.lab.fleets.refreshes("slipway-dev-api")) == 1


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("pause", "dev/api: paused; invoke rollout.resume --environment dev --fleet api goes on"),
        ("resume", "dev/api: it was not paused"),
        ("promote", "dev/api: goes on past checkpoint 50 %"),
        ("abort", "dev/api: "),
        ("rollback", "dev/api: "),
    ],
)
def test_controls_say_what_came_of_them(stopped: Counter, verb: str, said: str) -> None:
    rollouts.control(stopped.desk, API, verb)
    assert stopped.joined[-1] == f"dev rollout.{verb}"
    assert stopped.lines[1].startswith(said)


def test_taking_back_brings_the_old_image_into_service(stopped: Counter) -> None:
    rollouts.control(stopped.desk, API, "rollback")
    assert stopped.lab.versions == [1, 1, 1, 1]
    assert stopped.lab.record.phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort", "rollback"])
def test_there_must_be_something_to_control(verb: str) -> None:
    counter = Counter(Lab())
    with pytest.raises(Refused) as refused:
        rollouts.control(counter.desk, API, verb)
    assert refused.value.next_command.startswith("invoke rollout --environment dev --fleet api")


@pytest.mark.parametrize("command", ["pause", "status", "history"])
def test_an_environment_without_its_bucket_is_told_how_to_get_it(command: str) -> None:
    def join(_environment: Environment, _verb: str) -> RolloutWorld:
        raise NotFound("s3", "ListObjectsV2", "NoSuchBucket", "The specified bucket does not exist")

    desk = Desk(PLACE, join, lambda document, lines: None, PlainRollout)
    with pytest.raises(NotFound) as told:
        if command == "history":
            rollouts.history(desk, API, svg="", rollout_id="")
        elif command == "status":
            rollouts.status(desk, API)
        else:
            rollouts.control(desk, API, command)
    assert told.value.next_command == "invoke provision --environment dev"


def test_the_status_has_its_command() -> None:
    counter = Counter(Lab())
    rollouts.status(counter.desk, API)
    assert counter.lines[0] == "dev/api: nothing is under way"
    assert counter.documents[0]["pointer"] == "ami-00000000000000001"  # type: ignore[index]


def test_the_status_of_all_fleets_is_a_line_each() -> None:
    counter = Counter(Lab())
    rollouts.status(counter.desk, RolloutWords("dev"))
    counter.lab.fleets.groups.clear()
    rollouts.status(counter.desk, RolloutWords("dev"))
    assert counter.lines == [
        "dev/api: nothing is under way; 4 machines of version 1: ami-00000000000000001, "
        "which the group names (4 desired)",
        "dev/api: there is no Auto Scaling group slipway-dev-api",
    ]
    assert counter.documents[1]["fleets"][0]["error"] == "Refused"  # type: ignore[index]


def test_history_draws_the_newest_rollout_or_the_one_that_is_named(tmp_path: Path) -> None:
    counter = Counter(Lab())
    counter.lab.roll()
    first = counter.lab.record
    counter.lab.roll(counter.lab.old)
    for rollout_id, record in (("", counter.lab.record), (first.rollout_id, first)):
        svg = tmp_path / f"{rollout_id or 'newest'}.svg"
        rollouts.history(counter.desk, API, svg=str(svg), rollout_id=rollout_id)
        assert svg.read_text("utf-8") == draw(record)
        assert counter.lines[-1] == f"{record.rollout_id} is drawn in {svg}"
    assert len(counter.documents[0]) == 2  # type: ignore[arg-type]


def test_a_long_history_is_read_as_far_as_it_is_shown() -> None:
    counter = Counter(Lab())
    counter.lab.roll()
    first = counter.lab.record
    for at in range(60):
        later = replace(first, rollout_id=f"rollout-20270101T0000{at:02}-abcdef")
        records.begin(counter.lab.world(), later)
    rollouts.history(counter.desk, API, svg="", rollout_id="")
    assert counter.lines[0].startswith("dev/api: 50 rollouts, newest first")
    assert counter.documents[0][0]["rollout_id"] == "rollout-20270101T000059-abcdef"  # type: ignore[index]


def test_a_picture_that_can_t_be_drawn_says_why(tmp_path: Path) -> None:
    counter = Counter(Lab())
    with pytest.raises(Refused, match="there was no rollout yet"):
        rollouts.history(counter.desk, API, svg=str(tmp_path / "a.svg"), rollout_id="")
    counter.lab.roll()
    with pytest.raises(Refused, match="there is no rollout rollout-none"):
        rollouts.history(counter.desk, API, svg=str(tmp_path / "a.svg"), rollout_id="rollout-none")
    with pytest.raises(ConfigError, match="No such file or directory"):
        rollouts.history(counter.desk, API, svg=str(tmp_path / "no" / "a.svg"), rollout_id="")


def test_a_fleet_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ConfigError) as refused:
        rollouts.choose(PLACE, RolloutWords("dev", "apo"), "rollout.status")
    assert refused.value.problems == (
        "environments/dev.yaml: fleets: there is no 'apo'; there are api, bastion, worker",
    )
    assert refused.value.next_command == "invoke rollout.status --environment dev --fleet api"


@pytest.mark.parametrize(
    ("words", "way"),
    [
        pytest.param(
            RolloutWords("dev", is_all=True), {"dev": ["api", "bastion", "worker"]}, id="an environment"
        ),
        pytest.param(
            RolloutWords(fleet="api", is_wave=True),
            {name: ["api"] for name in ("dev", "test", "qa", "production")},
            id="one fleet everywhere",
        ),
    ],
)
def test_several_fleets_go_in_the_order_of_the_data(words: RolloutWords, way: dict[str, list[str]]) -> None:
    chosen = waves.choose(PLACE, words)
    assert {each.name: sorted(each.fleets) for each in chosen} == way
    assert [each.name for each in chosen] == list(way)


def test_waves_without_the_fleet_are_refused() -> None:
    with pytest.raises(ConfigError, match="there is no fleet 'apo'"):
        waves.choose(PLACE, RolloutWords(fleet="apo", is_wave=True))


def test_several_fleets_are_planned_and_rolled(capsys: pytest.CaptureFixture[str]) -> None:
    counter = Counter(Lab())
    words = RolloutWords("dev", is_all=True)
    waves.rollout(counter.desk, words, is_dry_run=True, is_confirmed=False)
    assert [each["action"] for each in counter.documents[0]["plans"]] == ["start"]  # type: ignore[index]
    assert counter.lab.changes() == []
    waves.rollout(counter.desk, words, is_dry_run=False, is_confirmed=False)
    assert counter.lab.versions == [2, 2, 2, 2]
    assert "never fewer than 4" in capsys.readouterr().err
    assert counter.lines[-1].startswith("dev/api: every machine runs")


def test_an_operator_is_who_typed_it_also_as_root() -> None:
    me = HostProcess.current()
    assert operator({"SUDO_USER": "ann"}) == f"ann@{me.host}"
    assert operator({}) == f"{me.user}@{me.host}"
