# SPDX-License-Identifier: Apache-2.0
"""What the words of provision, drift and destroy mean, and how a plan meets what others do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.cli import StackWords
from orchestrator.commands.stacks import Place, bring_up, choose
from orchestrator.errors import ConfigError, Refused
from orchestrator.workflows.provision.world import Network
from tests.fakes import FakeTemplates
from tests.unit.provision_world import Lab, network_request, network_template

PROJECT = Path(__file__).resolve().parents[2]
PLACE = Place(PROJECT, {}, 4599, lambda project, network: FakeTemplates())


@pytest.mark.parametrize(
    ("words", "network", "environments", "command"),
    [
        pytest.param(
            StackWords(network="nonproduction"),
            Network.YES,
            (),
            "invoke provision --network nonproduction",
            id="network",
        ),
        pytest.param(
            StackWords(environment="qa", allowed=("Jobs",)),
            Network.IF_MISSING,
            ("qa",),
            "invoke provision --environment qa --allow-replace Jobs",
            id="environment",
        ),
        pytest.param(
            StackWords(is_all=True),
            Network.YES,
            ("sandbox",),
            "invoke provision --all",
            id="all of the sandbox",
        ),
        pytest.param(
            StackWords(environment="qa", is_all=True),
            Network.YES,
            ("dev", "qa", "test"),
            "invoke provision --environment qa --all",
            id="all around an environment",
        ),
        pytest.param(
            StackWords(network="nonproduction", is_all=True),
            Network.YES,
            ("dev", "qa", "test"),
            "invoke provision --network nonproduction --all",
            id="all of a network",
        ),
    ],
)
def test_words_choose_stacks(
    words: StackWords, network: Network, environments: tuple[str, ...], command: str
) -> None:
    scope, request = choose(PLACE, words, "provision", of_environment=Network.IF_MISSING)
    assert (request.network, request.environments, request.command) == (network, environments, command)
    assert scope.first.account_id in request.title


def test_the_port_of_a_second_checkout_counts() -> None:
    scope, _ = choose(PLACE, StackWords(is_all=True), "drift", of_environment=Network.NO)
    assert scope.first.endpoint_url == "http://127.0.0.1:4599"


@pytest.mark.parametrize(
    "words",
    [
        StackWords(),
        StackWords(network="a", environment="b"),
        StackWords(network="a", environment="b", is_all=True),
    ],
    ids=["nothing", "two", "two and all"],
)
def test_words_that_choose_nothing_or_two_are_refused(words: StackWords) -> None:
    with pytest.raises(ConfigError):
        choose(PLACE, words, "provision", of_environment=Network.NO)


def test_what_somebody_else_does_is_followed_and_then_planned_anew() -> None:
    lab = Lab()
    lab.stacks.have(network_template(), "UPDATE_IN_PROGRESS")
    lab.stacks.finish("slipway-lab-network", "UPDATE_COMPLETE", after_s=30)
    shown: list[str] = []

    def show(_document: object, lines: Sequence[str]) -> None:
        shown.extend(lines)

    bring_up(lab.world(), network_request(), show)
    assert shown[0] == "slipway-lab-network: no changes"
    assert shown[1].startswith("slipway-lab-security: created in ")


def test_the_plan_is_seen_before_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    lab = Lab(is_protected=True)
    with pytest.raises(Refused):
        bring_up(lab.world(), network_request(), lambda document, lines: None)
    assert "slipway-lab-network   create: 1 added" in capsys.readouterr().err
    assert lab.stacks.statuses == {}
