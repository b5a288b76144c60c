# SPDX-License-Identifier: Apache-2.0
"""Which machines are meant, and what is said when there are none."""

from __future__ import annotations

import pytest

from orchestrator.errors import ConfigError, MachineMissing
from orchestrator.workflows.doors.machines import Choice, check, choose, numbered
from tests.unit.doors.door_world import API_1, API_2, API_3, BASTION, WORKER, DoorLab, environment, fleet


def chosen(choice: Choice, lab: DoorLab | None = None) -> list[str]:
    lab = lab or DoorLab()
    checked = check(lab.environment, choice, what="ssh")
    found = choose(lab.environment, lab.directory.running("sandbox"), checked, what="ssh")
    return [each.instance_id for each in found]


CHOICES = {
    "a fleet: its oldest": (Choice(fleet="api"), [API_1]),
    "a number, oldest first, then by id": (Choice(fleet="api", index="2"), [API_2]),
    "the last number": (Choice(fleet="api", index="3"), [API_3]),
    "a zone by its letter": (Choice(fleet="api", zone="b"), [API_2]),
    "a zone by its name": (Choice(fleet="api", zone="us-east-1b"), [API_2]),
    "all": (Choice(fleet="api", is_all=True), [API_1, API_2, API_3]),
    "all of a zone": (Choice(fleet="api", zone="b", is_all=True), [API_2, API_3]),
    "an id": (Choice(instance_id=WORKER), [WORKER]),
    "the bastion": (Choice(is_bastion=True), [BASTION]),
    "the bastion by its fleet": (Choice(fleet="bastion"), [BASTION]),
}


@pytest.mark.parametrize(("choice", "ids"), CHOICES.values(), ids=CHOICES)
def test_choices_mean_machines(choice: Choice, ids: list[str]) -> None:
    assert chosen(choice) == ids


API = f"api-1 ({API_1}, us-east-1a), api-2 ({API_2}, us-east-1b), api-3 ({API_3}, us-east-1b)"
REST = f"bastion-1 ({BASTION}, us-east-1a), worker-1 ({WORKER}, us-east-1c)"
MISSING = {
    "number": (
        Choice(fleet="api", index="4"),
        f"error: ssh sandbox/api: there is no machine number 4.\nstate: running: {API}.",
    ),
    "zone": (
        Choice(fleet="api", zone="d"),
        f"error: ssh sandbox/api: no machine runs in zone d.\nstate: running: {API}.",
    ),
    "id": (
        Choice(instance_id="i-00000000000000077"),
        "error: ssh i-00000000000000077: does not run.\n"
        f"state: running: bastion-1 ({BASTION}, us-east-1a), worker-1 ({WORKER}, us-east-1c), {API}.",
    ),
}


class TestMissing:
    @pytest.mark.parametrize(("choice", "said"), MISSING.values(), ids=MISSING)
    def test_what_there_is_instead_is_told(self, choice: Choice, said: str) -> None:
        with pytest.raises(MachineMissing) as caught:
            chosen(choice)
        following = "next: invoke rollout.status --environment sandbox, which shows all machines"
        assert str(caught.value) == f"{said}\n{following}"

    def test_a_fleet_without_machines_is_told_with_all_others(self) -> None:
        lab = DoorLab()
        for instance_id in (API_1, API_2, API_3):
            lab.end(instance_id)
        with pytest.raises(MachineMissing) as caught:
            chosen(Choice(fleet="api"), lab)
        assert (caught.value.cause, caught.value.state) == ("no machine of it runs", f"running: {REST}")

    def test_an_environment_without_machines_is_told_so(self) -> None:
        lab = DoorLab()
        lab.directory.machines.clear()
        with pytest.raises(MachineMissing) as caught:
            chosen(Choice(fleet="api", is_all=True), lab)
        assert caught.value.state == "nothing runs there"

    def test_of_many_machines_some_are_told(self) -> None:
        lab = DoorLab()
        lab.directory.machines.clear()
        for number in range(11):
            lab.have("api", f"i-{number:017x}")
        with pytest.raises(MachineMissing) as caught:
            chosen(Choice(fleet="api", index="12"), lab)
        assert caught.value.state.endswith(f"api-8 (i-{7:017x}, us-east-1a) and 3 more")


ONE = "ssh: name one of --fleet, --instance and --bastion"
WRONG = {
    "nothing": (Choice(), [ONE]),
    "two": (Choice(fleet="api", is_bastion=True), [ONE]),
    "all three": (Choice(fleet="api", is_bastion=True, instance_id=WORKER), [ONE]),
    "unknown fleet": (
        Choice(fleet="apis"),
        ["ssh: --fleet apis: sandbox has no such fleet, only api, bastion, worker"],
    ),
    "number and zone": (
        Choice(fleet="api", index="1", zone="a"),
        ["ssh: --index and --zone exclude each other"],
    ),
    "number and all": (
        Choice(fleet="api", index="1", is_all=True),
        ["ssh: --index and --all exclude each other"],
    ),
    "number nought": (
        Choice(fleet="api", index="0"),
        ["ssh: --index 0: must be a whole number from 1"],
    ),
    "no number": (Choice(fleet="api", index="²"), ["ssh: --index ²: must be a whole number from 1"]),
    "no id": (Choice(instance_id="api-1"), ["ssh: --instance api-1: is no instance id"]),
    "id and zone": (
        Choice(instance_id=WORKER, zone="a"),
        ["ssh: --instance names a machine already; --index, --zone and --all are for a fleet"],
    ),
}


class TestWords:
    @pytest.mark.parametrize(("choice", "problems"), WRONG.values(), ids=WRONG)
    def test_words_that_make_no_sense_are_refused(self, choice: Choice, problems: list[str]) -> None:
        with pytest.raises(ConfigError) as caught:
            check(environment(), choice, what="ssh")
        assert list(caught.value.problems) == problems
        assert caught.value.next_command == "invoke ssh --environment sandbox --fleet api"

    def test_without_a_public_fleet_there_is_no_way_in(self) -> None:
        closed = environment(fleets={"api": fleet("api")})
        with pytest.raises(ConfigError) as caught:
            check(closed, Choice(is_bastion=True), what="ssh")
        path = "environments/sandbox.yaml"
        assert caught.value.problems == (f"{path}: fleets: none is public, so there is no way in",)


def test_machines_are_counted_by_fleet() -> None:
    assert numbered(DoorLab().directory.running("sandbox")) == {
        BASTION: "bastion-1",
        WORKER: "worker-1",
        API_1: "api-1",
        API_2: "api-2",
        API_3: "api-3",
    }
