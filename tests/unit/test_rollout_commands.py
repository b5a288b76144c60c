# SPDX-License-Identifier: Apache-2.0
"""What the words of rollouts mean, and what wrong ones get."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config.waves import load_waves
from orchestrator.errors import ConfigError
from orchestrator.rollout_words import RolloutWords

PROJECT = Path(__file__).resolve().parents[2]
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
    assert refused.value.next_command.startswith(
        f"invoke rollout --environment {words.environment_name} --fl"
    )


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
