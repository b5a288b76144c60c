# SPDX-License-Identifier: Apache-2.0
"""Ways to the database: which machines they go through, and what opens their doors."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import ssh

from orchestrator.domain.database_door import DatabasePlace
from orchestrator.errors import AwsError, MachineMissing, TokenExpired
from orchestrator.ports import DoorMachine, Hop, Route
from orchestrator.workflows.db_tunnel.routes import DatabaseRoutes, candidates
from orchestrator.workflows.db_tunnel.world import Plan
from tests.unit.db_tunnel.tunnel_world import HOST_KEY, READER, READER_HOST, WRITER, TunnelLab, machine


def routes(lab: TunnelLab, place: DatabasePlace = READER, **plan: Any) -> DatabaseRoutes:
    return DatabaseRoutes(lab.doors, Plan(place, "api", "api", **plan))


def ways(found: tuple[Route, ...]) -> list[tuple[str, ...]]:
    return [tuple(hop.name for hop in route.hops) for route in found]


def ids(machines: tuple[DoorMachine, ...]) -> list[str]:
    return [each.instance_id for each in machines]


def test_a_way_goes_through_the_bastion_and_a_machine_to_the_endpoint() -> None:
    found = routes(TunnelLab()).find()
    gate = Hop("i-gate1", "198.18.0.1", "admin", (HOST_KEY,))
    assert found == (
        Route((gate, Hop("i-api4", "10.0.0.4", "admin", (HOST_KEY,))), (READER_HOST, 3306)),
        Route((gate, Hop("i-api3", "10.0.0.3", "admin", (HOST_KEY,))), (READER_HOST, 3306)),
    )


def test_machines_to_avoid_come_last() -> None:
    found = routes(TunnelLab()).find(avoid=frozenset({"i-api4"}))
    assert ways(found) == [("i-gate1", "i-api3"), ("i-gate1", "i-api4")]


def test_candidates_are_new_of_each_zone_one_and_elsewhere_than_what_is_avoided() -> None:
    machines = [machine(1, zone="a"), machine(2, zone="b"), machine(3, zone="a"), machine(4, zone="b")]
    assert ids(candidates(machines, frozenset())) == ["i-api4", "i-api3", "i-api2", "i-api1"]
    assert ids(candidates(machines, frozenset({"i-api4"}))) == ["i-api3", "i-api1", "i-api2", "i-api4"]


def test_of_a_large_fleet_a_handful_is_looked_at_new_ones_and_the_oldest() -> None:
    machines = [machine(number) for number in range(1, 100)]
    expected = [f"i-api{number}" for number in (99, 98, 97, 96, 95, 94, 1, 2)]
    assert ids(candidates(machines, frozenset())) == expected


def test_the_number_of_calls_does_not_grow_with_the_fleet() -> None:
    lab = TunnelLab()
    lab.directory.machines = (machine(1, "gate"), *(machine(number) for number in range(2, 900)))
    lab.publish(*lab.directory.machines)
    lab.parameters.calls.clear()
    found = routes(lab).find()
    assert (lab.directory.calls, lab.parameters.calls) == (["running test"], ["get"])
    assert len(found) == 8


def test_machines_that_have_published_no_host_key_are_no_way() -> None:
    lab = TunnelLab()
    lab.directory.machines = (*lab.directory.machines, machine(5))
    assert ways(routes(lab).find()) == [("i-gate1", "i-api4"), ("i-gate1", "i-api3")]


def test_two_bastions_share_the_ways() -> None:
    lab = TunnelLab()
    second = machine(9, "gate")
    lab.directory.machines = (*lab.directory.machines, second)
    lab.publish(second)
    assert ways(routes(lab).find()) == [
        ("i-gate9", "i-api4"),
        ("i-gate1", "i-api3"),
        ("i-gate1", "i-api4"),
        ("i-gate9", "i-api3"),
    ]
    assert ways(routes(lab).find(avoid=frozenset({"i-gate9", "i-api4"}))) == [
        ("i-gate1", "i-api3"),
        ("i-gate9", "i-api3"),
        ("i-gate1", "i-api4"),
        ("i-gate9", "i-api4"),
    ]


def test_what_was_looked_up_for_the_plan_is_used_once() -> None:
    lab = TunnelLab()
    found = routes(lab, machines=lab.directory.machines)
    found.find()
    assert lab.directory.calls == []
    found.find()
    assert lab.directory.calls == ["running test"]


@pytest.mark.parametrize(
    ("machines", "published", "what", "cause"),
    [
        pytest.param(
            (machine(1, "gate"),), (), "db-tunnel test/api", "no machine of it runs", id="no machine"
        ),
        pytest.param(
            (machine(3),),
            (machine(3),),
            "db-tunnel test/gate",
            "no bastion runs, and it is the only way in",
            id="no bastion",
        ),
        pytest.param(
            (machine(1, "gate"), machine(3)),
            (machine(1, "gate"),),
            "db-tunnel i-api3",
            "api's machine has not published its host keys, and nobody is trusted without",
            id="a machine without host keys",
        ),
        pytest.param(
            (machine(1, "gate"), machine(3)),
            (machine(3),),
            "db-tunnel i-gate1",
            "gate's machine has not published its host keys, and nobody is trusted without",
            id="a bastion without host keys",
        ),
    ],
)
def test_where_there_is_no_way_it_is_told_why(
    machines: tuple[DoorMachine, ...], published: tuple[DoorMachine, ...], what: str, cause: str
) -> None:
    lab = TunnelLab()
    lab.parameters.values.clear()
    lab.directory.machines = machines
    lab.publish(*published)
    with pytest.raises(MachineMissing) as caught:
        routes(lab).find()
    assert (caught.value.what, caught.value.cause) == (what, cause)


@pytest.mark.parametrize(("place", "door"), [(READER, "reader"), (WRITER, "writer")])
def test_one_certificate_opens_the_way_and_the_door_and_nothing_else(place: DatabasePlace, door: str) -> None:
    lab = TunnelLab()
    found = routes(lab, place)
    login = found.login()
    certificate = ssh.load_ssh_public_identity(login.certificate.encode())
    assert isinstance(certificate, ssh.SSHCertificate)
    assert certificate.valid_principals == [b"test/bastion/jump", f"test/api/{door}".encode()]
    assert certificate.extensions == {b"permit-port-forwarding": b""}
    assert certificate.key_id == f"ann/{door}/db-tunnel-1".encode()
    assert certificate.valid_before - lab.clock.now().timestamp() == 300
    assert found.last_pass is not None
    assert found.last_pass.serial == certificate.serial
    assert login.private_key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert base64.b64decode(login.certificate.split()[1])


def test_each_login_is_a_new_one() -> None:
    found = routes(TunnelLab())
    assert found.login().certificate != found.login().certificate


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_credentials_that_expired_meanwhile_are_told_as_such(code: str) -> None:
    lab = TunnelLab()
    lab.directory.fail("running test", AwsError("ec2", "DescribeInstances", code, "no longer valid"))
    with pytest.raises(TokenExpired) as caught:
        routes(lab).find()
    assert caught.value.cause == f"the credentials for AWS have expired ({code})"


def test_another_refusal_of_aws_stays_what_it_is() -> None:
    lab = TunnelLab()
    lab.directory.fail("running test", AwsError("ec2", "DescribeInstances", "UnauthorizedOperation", "no"))
    with pytest.raises(AwsError):
        routes(lab).find()
