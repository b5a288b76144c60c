# SPDX-License-Identifier: Apache-2.0
"""Machines become hops with pinned keys, and passes open exactly what they should."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from orchestrator.domain.door import Door
from orchestrator.errors import MachineMissing
from orchestrator.ports import Hop
from orchestrator.ssh.certificates import new_key_pair
from orchestrator.workflows.doors.hops import bastions, hop, known_hops
from orchestrator.workflows.doors.login import Opening, extensions, issue
from tests.fakes import START
from tests.unit.doors.door_world import API_1, API_2, BASTION, OLD_BASTION, RUN, WORKER, DoorLab

KEYS = ("ssh-ed25519 AAAA", "ssh-rsa BBBB")


class TestHops:
    def test_a_bastion_is_reached_by_its_public_address_and_others_by_their_private_one(self) -> None:
        lab = DoorLab()
        machines = [each for each in lab.directory.running("sandbox") if each.instance_id in {API_1, BASTION}]
        assert known_hops(lab.world, machines) == {
            BASTION: Hop(BASTION, "203.0.113.1", "admin", KEYS),
            API_1: Hop(API_1, "10.0.0.4", "admin", KEYS),
        }

    def test_somebody_else_may_be_logged_in_as(self) -> None:
        lab = DoorLab()
        [worker] = lab.directory.running("sandbox", "worker")
        assert known_hops(lab.world, [worker], user="deploy")[WORKER].user == "deploy"

    def test_all_host_keys_are_asked_for_in_one_call(self) -> None:
        lab = DoorLab()
        known_hops(lab.world, lab.directory.running("sandbox"))
        assert lab.parameters.calls == ["get"]

    def test_nobody_is_trusted_whose_keys_are_not_known(self) -> None:
        lab = DoorLab()
        lab.forget_keys("api", API_2)
        machines = {each.instance_id: each for each in lab.directory.running("sandbox", "api")}
        assert API_2 not in known_hops(lab.world, list(machines.values()))
        with pytest.raises(MachineMissing) as caught:
            hop(lab.world, machines[API_2], what="ssh")
        assert str(caught.value) == (
            f"error: ssh {API_2}: api's machine has not published its host keys, and nobody is trusted "
            "without.\n"
            "state: running since 2026-01-01 12:05:00 UTC; it publishes them as it boots.\n"
            "next: try again in a minute; if it stays so, invoke rollout --environment sandbox --fleet api"
        )

    def test_newer_bastions_come_first_and_those_without_keys_not_at_all(self) -> None:
        lab = DoorLab()
        lab.have("bastion", OLD_BASTION, minute=0)
        lab.have("bastion", "i-0000000000000000c", minute=30, has_keys=False)
        found = bastions(lab.world, lab.directory.running("sandbox"), what="ssh")
        assert [each.name for each in found] == [BASTION, OLD_BASTION]

    def test_without_a_bastion_there_is_no_way_in(self) -> None:
        lab = DoorLab()
        lab.end(BASTION)
        with pytest.raises(MachineMissing) as caught:
            bastions(lab.world, lab.directory.running("sandbox"), what="ssh")
        assert str(caught.value) == (
            "error: ssh sandbox/bastion: no bastion runs, and it is the only way in.\n"
            "state: the environment's machines can't be reached.\n"
            "next: invoke rollout.status --environment sandbox --fleet bastion"
        )

    def test_a_bastion_that_still_boots_is_told_so(self) -> None:
        lab = DoorLab()
        lab.forget_keys("bastion", BASTION)
        with pytest.raises(MachineMissing, match="has not published its host keys"):
            bastions(lab.world, lab.directory.running("sandbox"), what="ssh")


def read(line: str) -> SSHCertificate:
    found = load_ssh_public_identity(line.encode())
    assert isinstance(found, SSHCertificate)
    return found


class TestPasses:
    def test_one_certificate_opens_the_bastion_and_the_machine_for_minutes(self) -> None:
        lab = DoorLab()
        issued = issue(lab.world, (Opening("gate", Door.JUMP), Opening("api", Door.SHELL)))
        made = read(issued.login.certificate)
        assert made.key_id == f"ann/shell/{RUN}".encode() == str(issued.key_id).encode()
        assert made.valid_principals == [b"sandbox/gate/jump", b"sandbox/api/shell"]
        assert made.serial == issued.serial
        assert made.valid_after == int((START - timedelta(minutes=1)).timestamp())
        assert made.valid_before == int((START + timedelta(minutes=5)).timestamp())
        assert issued.valid_before == START + timedelta(minutes=5)
        assert set(made.extensions) == {b"permit-port-forwarding", b"permit-pty"}
        assert made.critical_options == {}
        assert issued.login.private_key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
        assert repr(issued.login) == "Login(***)"

    def test_every_pass_has_a_key_and_a_number_of_its_own(self) -> None:
        lab = DoorLab()
        one, other = (issue(lab.world, [Opening("api", Door.SHELL)]) for _ in range(2))
        assert one.serial != other.serial
        assert one.fingerprint != other.fingerprint

    def test_a_key_of_somebodys_own_is_signed_for_as_long_as_is_said(self) -> None:
        lab = DoorLab()
        _, public = new_key_pair()
        issued = issue(
            lab.world, [Opening("api", Door.READER)], public_key=public, lifetime=timedelta(hours=8)
        )
        made = read(issued.login.certificate)
        assert made.public_key() is not None
        assert made.valid_before == int((START + timedelta(hours=8)).timestamp())
        assert issued.login.private_key == ""

    @pytest.mark.parametrize(
        ("doors", "permitted"),
        [
            ((Door.SHELL,), ("permit-pty",)),
            ((Door.JUMP, Door.SHELL), ("permit-port-forwarding", "permit-pty")),
            ((Door.JUMP, Door.READER), ("permit-port-forwarding",)),
            ((Door.WRITER,), ("permit-port-forwarding",)),
        ],
    )
    def test_it_permits_what_its_doors_need(
        self, doors: tuple[Door, ...], permitted: tuple[str, ...]
    ) -> None:
        assert extensions(doors) == permitted
