# SPDX-License-Identifier: Apache-2.0
"""Visits to machines: shells, commands on one and on many, and their records."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from orchestrator.errors import ConfigError, HostKeyChanged, KeyRefused, MachineMissing, NotFound, Refused
from orchestrator.ports import Hop, OnMachineLine
from orchestrator.workflows.doors.machines import Choice
from orchestrator.workflows.doors.shell import AT_ONCE, MachineOutcome, attend, highest, on_each
from orchestrator.workflows.doors.shell_plan import ShellRequest, observe_and_plan
from tests.fakes import FakeAuthority
from tests.unit.doors.door_world import (
    API_1,
    API_2,
    API_3,
    BASTION,
    RUN,
    WORKER,
    DoorLab,
    FakeDoorShells,
    FakeScreen,
)


def visit(
    lab: DoorLab, request: ShellRequest, shells: FakeDoorShells, screen: FakeScreen | None = None
) -> int:
    plan = observe_and_plan(lab.world, request)
    return attend(lab.world, plan, request, shells, screen or FakeScreen())


def visit_all(
    lab: DoorLab, shells: FakeDoorShells, *, fleet: str = "api", screen: FakeScreen | None = None
) -> tuple[MachineOutcome, ...]:
    request = ShellRequest(Choice(fleet=fleet, is_all=True), "uptime")
    plan = observe_and_plan(lab.world, request)
    return on_each(lab.world, plan, request, shells, screen or FakeScreen())


def principals(lab: DoorLab, request: ShellRequest) -> list[str]:
    plan = observe_and_plan(lab.world, request)
    return [f"{each.server_class}/{each.door}" for each in plan.openings]


class TestPlan:
    def test_machines_are_reached_through_the_bastion_with_one_call_for_all_of_them(self) -> None:
        lab = DoorLab()
        plan = observe_and_plan(lab.world, ShellRequest(Choice(fleet="api", is_all=True), "uptime"))
        assert [each.name for each in plan.bastions] == [BASTION]
        assert sorted(plan.hops) == [API_1, API_2, API_3]
        assert lab.directory.calls == ["running sandbox"]
        assert plan.longest_name == len("api-1")

    def test_the_bastion_is_reached_at_once(self) -> None:
        plan = observe_and_plan(DoorLab().world, ShellRequest(Choice(is_bastion=True)))
        assert (plan.bastions, list(plan.hops)) == ((), [BASTION])

    @pytest.mark.parametrize(
        ("choice", "opened"),
        [
            (Choice(fleet="worker"), ["gate/jump", "jobs/shell"]),
            (Choice(instance_id=API_2), ["gate/jump", "api/shell"]),
            (Choice(is_bastion=True), ["gate/shell"]),
            (Choice(instance_id=BASTION), ["gate/shell"]),
        ],
    )
    def test_only_the_doors_on_the_way_are_opened(self, choice: Choice, opened: list[str]) -> None:
        assert principals(DoorLab(), ShellRequest(choice)) == opened

    @pytest.mark.parametrize(
        ("request_", "problem"),
        [
            (
                ShellRequest(Choice(fleet="api", is_all=True)),
                "ssh: --all needs a --command: a terminal fits one machine",
            ),
            (ShellRequest(Choice(fleet="api"), is_captured=True), "ssh: --json needs a --command"),
            (ShellRequest(Choice(fleet="api"), user="-o"), "ssh: --user -o: is no name of a user"),
            (ShellRequest(Choice(fleet="api"), user="a\nb"), "ssh: --user a\nb: is no name of a user"),
        ],
    )
    def test_requests_without_sense_call_nothing(self, request_: ShellRequest, problem: str) -> None:
        lab = DoorLab()
        with pytest.raises(ConfigError) as caught:
            observe_and_plan(lab.world, request_)
        assert caught.value.problems == (problem,)
        assert lab.directory.calls == []

    def test_the_credentials_have_to_be_the_accounts(self) -> None:
        lab = DoorLab(account_id="999999999999")
        with pytest.raises(Refused):
            observe_and_plan(lab.world, ShellRequest(Choice(fleet="api")))
        assert lab.directory.calls == []

    def test_a_machine_that_has_no_keys_yet_is_not_visited(self) -> None:
        lab = DoorLab()
        lab.forget_keys("worker", WORKER)
        with pytest.raises(MachineMissing, match="has not published its host keys"):
            observe_and_plan(lab.world, ShellRequest(Choice(fleet="worker")))


class TestOne:
    def test_a_shell_gets_the_terminal_and_its_exit_code_is_ours(self) -> None:
        lab, screen = DoorLab(), FakeScreen()
        shells = FakeDoorShells(lambda hop, command, on_line: 7)
        assert visit(lab, ShellRequest(Choice(fleet="api", index="2"), user="deploy"), shells, screen) == 7
        assert [(hop.name, hop.user, command) for hop, command in shells.attended] == [(API_2, "deploy", "")]
        assert shells.opened == [((BASTION,), (API_2,))]
        assert screen.said == [f"ssh api-2: {API_2} in us-east-1b, through {BASTION}"]
        assert shells.is_closed

    def test_a_command_says_nothing_of_its_own(self) -> None:
        screen, shells = FakeScreen(), FakeDoorShells()
        assert visit(DoorLab(), ShellRequest(Choice(fleet="api"), "uptime"), shells, screen) == 0
        assert [command for _, command in shells.attended] == ["uptime"]
        assert screen.said == []

    def test_the_audit_trail_is_told_of_begin_and_end(self) -> None:
        lab = DoorLab()

        def work(hop: Hop, command: str, on_line: OnMachineLine) -> int:
            lab.clock.advance(90)
            return 3

        visit(lab, ShellRequest(Choice(fleet="api")), FakeDoorShells(work))
        keys = [f"access/2026/01/01/operators-{RUN}-{event}.json" for event in ("began", "ended")]
        assert list(lab.audit.objects) == keys
        began, ended = lab.audit.records
        told = {
            "session": RUN,
            "event": "began",
            "environment": "sandbox",
            "fleet": "api",
            "instance_id": API_1,
            "user": "admin",
            "who": "ann",
            "door": "shell",
            "certificate_serial": began["certificate_serial"],
            "key_fingerprint": began["key_fingerprint"],
            "operator": "ann@laptop",
            "target": [API_1],
            "via": [BASTION],
            "began": "2026-01-01T12:00:00.000Z",
        }
        assert began == told
        assert str(began["key_fingerprint"]).startswith("SHA256:")
        end = {"event": "ended", "ended": "2026-01-01T12:01:30.000Z", "seconds": 90.0, "exit_code": 3}
        assert ended == told | end

    def test_a_trail_that_is_away_does_not_end_the_work(self) -> None:
        lab, screen = DoorLab(), FakeScreen()
        lab.audit.has_log_group = False
        assert visit(lab, ShellRequest(Choice(fleet="api"), "true"), FakeDoorShells(), screen) == 0
        warning = (
            "warning: the audit trail was not told: "
            "ResourceNotFoundException: The specified log group does not exist."
        )
        assert screen.said == [warning, warning]

    def test_a_lost_connection_is_recorded_with_its_code(self) -> None:
        lab = DoorLab()

        def lose(hop: Hop, command: str, on_line: OnMachineLine) -> int:
            raise MachineMissing("ssh", "the connection was lost")

        with pytest.raises(MachineMissing):
            visit(lab, ShellRequest(Choice(fleet="api")), FakeDoorShells(lose))
        assert lab.audit.records[-1]["exit_code"] == 23

    def test_ctrl_c_is_recorded(self) -> None:
        lab = DoorLab()

        def interrupt(hop: Hop, command: str, on_line: OnMachineLine) -> int:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            visit(lab, ShellRequest(Choice(fleet="api"), "sleep 9"), FakeDoorShells(interrupt))
        assert lab.audit.records[-1]["exit_code"] == 130

    def test_nothing_is_recorded_of_a_way_that_did_not_open(self) -> None:
        lab = DoorLab()
        with pytest.raises(KeyRefused):
            visit(lab, ShellRequest(Choice(fleet="api")), FakeDoorShells(error=KeyRefused("ssh", "no")))
        assert lab.audit.records == []

    def test_without_an_authority_nothing_is_opened(self) -> None:
        lab, shells = DoorLab(), FakeDoorShells()
        missing = FakeAuthority()
        missing.exists = False
        world = replace(lab.world, authority=missing)
        plan = observe_and_plan(world, ShellRequest(Choice(fleet="api")))
        with pytest.raises(NotFound):
            attend(world, plan, ShellRequest(Choice(fleet="api")), shells, FakeScreen())
        assert shells.opened == []


class TestMany:
    def test_a_command_runs_on_all_and_each_has_an_outcome(self) -> None:
        lab, screen = DoorLab(), FakeScreen()

        def work(hop: Hop, command: str, on_line: OnMachineLine) -> int:
            on_line(f"{command} of {hop.name[-1]}", is_error=False)
            on_line("hm", is_error=True)
            return int(hop.name[-1])

        shells = FakeDoorShells(work)
        outcomes = visit_all(lab, shells, screen=screen)
        assert outcomes == tuple(
            MachineOutcome(f"api-{n}", f"i-{n:017x}", f"us-east-1{zone}", n, f"uptime of {n}\n", "hm\n", 0.0)
            for n, zone in ((1, "a"), (2, "b"), (3, "b"))
        )
        assert highest(outcomes) == 3
        assert sorted(screen.lines)[:2] == [
            ("api-1", API_1, "hm", True),
            ("api-1", API_1, "uptime of 1", False),
        ]
        assert len(screen.lines) == 6
        assert shells.opened == [((BASTION,), (API_1, API_2, API_3))]
        assert lab.audit.records[-1]["exit_code"] == 3
        assert lab.audit.records[-1]["target"] == [API_1, API_2, API_3]

    def test_machines_that_vanish_or_are_not_known_yet_are_outcomes_too(self) -> None:
        lab = DoorLab()
        lab.forget_keys("api", API_2)

        def work(hop: Hop, command: str, on_line: OnMachineLine) -> int:
            if hop.name == API_3:
                on_line("half", is_error=False)
                raise MachineMissing("ssh", "the connection was lost")
            if hop.name == API_1:
                raise HostKeyChanged("ssh", "another key")
            return 0

        outcomes = visit_all(lab, FakeDoorShells(work))
        assert [(each.exit_code, each.stdout, each.error) for each in outcomes] == [
            (22, "", "another key"),
            (23, "", "api's machine has not published its host keys, and nobody is trusted without"),
            (23, "half\n", "the connection was lost"),
        ]

    def test_outcomes_are_documents(self) -> None:
        outcome = MachineOutcome("api-1", API_1, "us-east-1a", 1, "a\n", "b\n", 1.23456)
        assert outcome.as_dict() == {
            "name": "api-1",
            "instance_id": API_1,
            "zone": "us-east-1a",
            "exit_code": 1,
            "stdout": "a\n",
            "stderr": "b\n",
            "seconds": 1.235,
            "error": "",
        }

    def test_only_so_many_are_worked_on_at_once(self) -> None:
        lab = DoorLab()
        for number in range(16, 56):
            lab.have("api", f"i-{number:017x}", minute=20)
        gate, running, most = threading.Condition(), 0, 0

        def work(hop: Hop, command: str, on_line: OnMachineLine) -> int:
            nonlocal running, most
            with gate:
                running += 1
                most = max(most, running)
                gate.notify_all()
                # The first ones wait until as many as may be are there.
                assert gate.wait_for(lambda: most >= AT_ONCE, timeout=30)
                running -= 1
            return 0

        assert len(visit_all(lab, FakeDoorShells(work))) == 43
        assert most == AT_ONCE

    def test_ctrl_c_stops_all(self) -> None:
        lab = DoorLab()
        shells = FakeDoorShells()

        def work(hop: Hop, command: str, on_line: OnMachineLine) -> int:
            raise KeyboardInterrupt

        shells.act = work
        with pytest.raises(KeyboardInterrupt):
            visit_all(lab, shells)
        assert shells.is_stopped
        assert shells.is_closed
        assert lab.audit.records[-1]["exit_code"] == 130
