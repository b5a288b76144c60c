# SPDX-License-Identifier: Apache-2.0
"""What the templates say of who reaches whom, and that the documents made of them are up to date."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from stacks import document, reachability
from stacks.reachability import INTERNET, OPERATORS, OTHER_NETWORK, Place, Rule, Wiring

PROJECT = Path(__file__).resolve().parents[3]
NETWORKS = ("nonproduction", "production", "sandbox")


@pytest.fixture(name="wiring", scope="module", params=NETWORKS)
def fixture_wiring(request: pytest.FixtureRequest) -> Wiring:
    inputs = document.network_inputs(PROJECT, request.param)
    return document._wiring(inputs, document._stacks(PROJECT, inputs))


def test_this_is_who_reaches_whom(wiring: Wiring) -> None:
    web, out = (80, 443), (80, 443)
    wanted = {
        (INTERNET, "balancer"): web,
        (OPERATORS, "balancer"): web,
        (OPERATORS, "bastion"): (22,),
        ("balancer", "api"): (80,),
        ("bastion", "api"): (22,),
        ("bastion", "worker"): (22,),
        ("api", "database"): (3306,),
        ("worker", "database"): (3306,),
    }
    for machine in ("api", "bastion", "worker"):
        wanted |= {(machine, place): out for place in (INTERNET, OPERATORS, "balancer")}
    assert {pair: ports for pair, ports in reachability.matrix(wiring).items() if ports} == wanted


def test_no_place_reaches_another_network(wiring: Wiring) -> None:
    cells = reachability.matrix(wiring)
    others = [pair for pair, ports in cells.items() if OTHER_NETWORK in pair and ports]
    assert others == []
    assert (OTHER_NETWORK, "database") in cells


def place(wiring: Wiring, name: str) -> Place:
    return next(each for each in wiring.places if each.name == name)


def test_an_opened_security_group_is_seen(wiring: Wiring) -> None:
    opened = Rule(22, 22, IPv4Network("0.0.0.0/0"))
    ingress = {**wiring.ingress, "ApiSecurityGroup": (*wiring.ingress["ApiSecurityGroup"], opened)}
    changed = replace(wiring, ingress=ingress)
    assert reachability.can_connect(changed, place(wiring, "bastion"), place(wiring, "api"), 22)
    # No public address: an open group alone lets nobody in from the internet.
    assert not reachability.can_connect(changed, place(wiring, INTERNET), place(wiring, "api"), 22)


def test_an_acl_stops_what_security_groups_allow(wiring: Wiring) -> None:
    stop = Rule(3306, 3306, IPv4Network("0.0.0.0/0"), is_allow=False)
    data = replace(wiring.tiers["data"], acl_in=(stop, *wiring.tiers["data"].acl_in))
    changed = replace(wiring, tiers={**wiring.tiers, "data": data})
    assert not reachability.can_connect(changed, place(wiring, "api"), place(wiring, "database"), 3306)


def test_an_acl_that_keeps_answers_back_stops_the_connection(wiring: Wiring) -> None:
    data = replace(wiring.tiers["data"], acl_out=())
    changed = replace(wiring, tiers={**wiring.tiers, "data": data})
    assert not reachability.can_connect(changed, place(wiring, "api"), place(wiring, "database"), 3306)


def test_without_nat_private_machines_reach_nothing_outside(wiring: Wiring) -> None:
    application = replace(wiring.tiers["application"], way_out="")
    changed = replace(wiring, tiers={**wiring.tiers, "application": application})
    assert not reachability.can_connect(changed, place(wiring, "api"), place(wiring, INTERNET), 443)
    assert reachability.can_connect(changed, place(wiring, "bastion"), place(wiring, INTERNET), 443)


@pytest.mark.parametrize(
    "path", [document.DOCUMENT, *(document.PICTURES.joinpath(f"{n}.svg") for n in NETWORKS[:2])]
)
def test_the_documents_are_as_the_stacks_are(path: Path) -> None:
    assert (PROJECT / path).read_text("utf-8") == document.files(PROJECT)[path], "run ./inv docs"
