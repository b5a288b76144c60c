# SPDX-License-Identifier: Apache-2.0
"""What all stacks of networks have in common, and what makes them up."""

from __future__ import annotations

import inspect
import re
from ipaddress import IPv4Network
from types import ModuleType

import pytest

from orchestrator.errors import ConfigError
from stacks import audit, balancer, database, network, security, write
from stacks.architecture import environment_stacks, network_stacks
from stacks.inputs import NetworkInputs
from stacks.project import environment_inputs, environment_names, network_inputs
from stacks.stack import Stack, logical
from tests.unit.stacks.environment_templates import references
from tests.unit.stacks.network_templates import (
    NETWORKS,
    PROJECT,
    changed,
    inputs,
    parsed,
    stacks,
    template,
)

LIMIT = 51_200
MODULES = (network, security, database, balancer, audit)
BY_STACK = {
    "network": {"VpcId", "PublicSubnets", "ApplicationSubnets", "DataSubnets"},
    "security": {
        "DataKeyArn",
        "LogsKeyArn",
        "LogsBucketName",
        "BalancerSecurityGroup",
        "DatabaseSecurityGroup",
        "DatabaseClientSecurityGroup",
        "ApiSecurityGroup",
        "BastionSecurityGroup",
        "WorkerSecurityGroup",
    },
    "database": {
        "ClusterEndpoint",
        "ReaderEndpoint",
        "ClusterPort",
        "ClusterIdentifier",
        "ClusterResourceId",
        "MasterSecretArn",
    },
    "balancer": {"BalancerArn", "BalancerFullName", "BalancerDnsName", "ListenerArn"},
    "audit": {"AlertsTopicArn"},
}
NEEDS = {
    "network": (),
    "security": ("network",),
    "database": ("network", "security"),
    "balancer": ("network", "security"),
    "audit": ("security", "database", "balancer"),
}
FUNCTION_KEYS = {"image_variants": "functions/image_variants/0123.zip"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_module_says_what_its_stack_is_for_and_how_to_make_it(module: ModuleType) -> None:
    assert inspect.getdoc(module)
    annotations = inspect.get_annotations(module.synthesise, eval_str=True)
    assert annotations == {"inputs": NetworkInputs, "return": Stack}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", BY_STACK)
def test_others_find_the_outputs_they_know(name: str, kind: str) -> None:
    expected = set(BY_STACK[kind])
    if kind == "balancer":
        for environment in inputs(name).environments:
            prefix = f"{logical(environment)}TargetGroup"
            expected |= {f"{prefix}Arn", f"{prefix}FullName"}
    assert set(template(name, kind)["Outputs"]) == expected
    assert "Export" not in str(template(name, kind)["Outputs"])


@pytest.mark.parametrize("name", NETWORKS)
def test_stacks_stand_in_the_order_in_which_they_need_each_other(name: str) -> None:
    found = {stack.name: stack.depends_on for stack in stacks(name)}
    assert found == {
        f"slipway-{name}-{kind}": tuple(f"slipway-{name}-{each}" for each in needs)
        for kind, needs in NEEDS.items()
    }
    before: set[str] = set()
    for stack_name, needs in found.items():
        assert set(needs) <= before
        before.add(stack_name)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stack_depends_on_those_it_reads_and_reads_what_they_give(name: str) -> None:
    by_name = {stack.name: parsed(stack) for stack in stacks(name)}
    for stack in stacks(name):
        for owner, output in references(by_name[stack.name]):
            assert owner in stack.depends_on
            assert output in by_name[owner]["Outputs"]


@pytest.mark.parametrize("environment", environment_names(PROJECT))
def test_environments_read_what_their_network_gives(environment: str) -> None:
    whole = environment_inputs(PROJECT, environment, FUNCTION_KEYS)
    everything = (*network_stacks(whole.network), *environment_stacks(whole))
    by_name = {stack.name: parsed(stack) for stack in everything}
    wrong = [
        (stack.name, owner, output)
        for stack in everything
        for owner, output in references(by_name[stack.name])
        if output not in by_name.get(owner, {}).get("Outputs", {}) or owner not in stack.depends_on
    ]
    assert wrong == []


def test_the_same_files_give_the_same_bytes() -> None:
    for name in NETWORKS:
        again = network_stacks(network_inputs(PROJECT, name))
        assert [stack.body() for stack in again] == [stack.body() for stack in stacks(name)]


def test_templates_fit_cloudformation_s_limit() -> None:
    sizes = {stack.name: len(stack.body().encode()) for stack in write.all_stacks(PROJECT)}
    assert {name: size for name, size in sizes.items() if size > LIMIT} == {}


def test_networks_share_nothing() -> None:
    """No peering, no reference, no address and no name of another network."""
    for name in NETWORKS:
        text = "".join(stack.body() for stack in stacks(name))
        assert not re.search(r"VPCPeering|TransitGateway|Fn::ImportValue", text)
        used = [IPv4Network(cidr) for cidr in re.findall(r'"(\d+\.\d+\.\d+\.\d+/\d+)"', text)]
        for other in set(NETWORKS) - {name}:
            foreign = inputs(other)
            assert not re.search(rf"slipway[-:/]{other}\b", text)
            assert foreign.account_id not in text
            assert [cidr for cidr in used if cidr.prefixlen and cidr.overlaps(foreign.network.cidr)] == []


def test_environments_stay_in_their_network() -> None:
    for environment in environment_names(PROJECT):
        whole = environment_inputs(PROJECT, environment, FUNCTION_KEYS)
        own = {f"slipway-{owner}-" for owner in (environment, whole.network.name)}
        for stack in environment_stacks(whole):
            foreign = [owner for owner, _ in references(parsed(stack)) if not owner.startswith(tuple(own))]
            assert foreign == []


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"database": None}, ["network", "security", "balancer", "audit"]),
        ({"domain": None}, ["network", "security", "database", "audit"]),
        ({"domain": None, "database": None}, ["network", "security", "audit"]),
    ],
    ids=["no database", "no domain", "neither"],
)
def test_what_a_network_s_file_leaves_out_is_not_there(change: dict[str, None], kinds: list[str]) -> None:
    made = network_stacks(changed("production", **change))
    assert [stack.kind.value for stack in made] == kinds
    names = {stack.name for stack in made}
    for stack in made:
        assert {owner for owner, _ in references(parsed(stack))} <= names


def test_a_stack_without_its_reason_is_not_made() -> None:
    with pytest.raises(ValueError, match="has no database"):
        database.synthesise(changed("production", database=None))
    with pytest.raises(ValueError, match="has no domain"):
        balancer.synthesise(changed("production", domain=None))


def test_a_network_without_environments_has_no_account_to_be_in() -> None:
    with pytest.raises(ConfigError, match=r"networks/example\.yaml: no environment is in this network"):
        network_inputs(PROJECT, "example")
