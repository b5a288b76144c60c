# SPDX-License-Identifier: Apache-2.0
"""What `invoke provision` would do, and what it tells of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.change_set import Effect
from orchestrator.errors import AwsError, ConfigError, Refused, Stranded
from orchestrator.workflows import provision
from orchestrator.workflows.provision.plan import Action
from orchestrator.workflows.provision.world import Network
from tests.unit.provision_world import (
    Lab,
    environment_request,
    fleets_template,
    network_request,
    network_template,
    queues_template,
    resource,
    security_template,
)


@pytest.fixture
def lab() -> Lab:
    return Lab()


def actions(plan: provision.ProvisionPlan) -> dict[str, str]:
    return {each.name: each.action.value for each in plan.stacks}


def test_what_is_not_there_is_planned_from_its_template_and_leaves_nothing_behind(lab: Lab) -> None:
    plan = lab.plan(network_request())
    assert provision.plan_lines(plan) == (
        "network lab:",
        "",
        "slipway-lab-network   create: 1 added",
        "    + AWS::EC2::VPC  Vpc",
        "slipway-lab-security  create: 2 added",
        "    + AWS::EC2::SecurityGroup  ApiGroup",
        "    + AWS::KMS::Key            DataKey",
        "    * stack policy",
        "    its change set is made when slipway-lab-network is up",
        "",
        "cost a month, at least: $0.00 -> $1.00 (+$1.00)",
        "  fleets and database at their lower limits, on-demand prices of us-east-1 of 2026-01-01",
    )
    assert lab.stacks.statuses == {}
    assert lab.stacks.calls == ["all"]


def test_no_changes_is_said_without_a_change_set(lab: Lab) -> None:
    lab.have_all()
    everything = replace(environment_request(), network=Network.YES)
    lab.run(everything)  # sets the stack policies
    lab.stacks.calls.clear()
    plan = lab.plan(everything)
    assert plan.is_empty
    assert provision.plan_lines(plan) == (
        "environment dev: no changes, all stacks (6) are as they should be",
    )
    assert sorted(lab.stacks.calls) == ["all", *["policy"] * 6, *["template"] * 6]


def test_changes_are_told_by_what_becomes_of_each_resource(lab: Lab) -> None:
    lab.templates.of_network = (network_template(Old=resource("EC2::EIP"), Gate=resource("EC2::NatGateway")),)
    lab.have_all()
    gate = {"Gate": resource("EC2::NatGateway", ConnectivityType="private")}
    lab.templates.of_network = (network_template("10.1.0.0/16", **gate, New=resource("SQS::Queue")),)
    lab.stacks.effects = {"Vpc": Effect.REPLACED}
    plan = lab.plan(network_request())
    assert provision.plan_lines(plan) == (
        "network lab:",
        "",
        "slipway-lab-network  update: 1 added, 1 changed in place, 1 replaced, 1 removed",
        "    + AWS::SQS::Queue  New",
        "    ± Vpc   AWS::EC2::VPC         CidrBlock",
        "    ~ Gate  AWS::EC2::NatGateway  ConnectivityType",
        "    - Old   AWS::EC2::EIP",
        "    * stack policy",
        "",
        "cost a month, at least: $36.50 -> $32.85 (-$3.65)",
        "  fleets and database at their lower limits, on-demand prices of us-east-1 of 2026-01-01",
        "  not counted, paid by use: messages",
    )
    assert lab.stacks.change_sets == {}


def test_a_reader_is_looked_at_again_when_what_it_reads_of_changes(lab: Lab) -> None:
    lab.have_all()
    lab.templates.of_network = (network_template("10.1.0.0/16"), security_template())
    plan = lab.plan(replace(environment_request(), network=Network.YES))
    assert actions(plan) == {
        "slipway-lab-network": "update",
        "slipway-lab-security": "look again",
        "slipway-dev-state": "set",
        "slipway-dev-queues": "look again",
        "slipway-dev-functions": "no changes",
        "slipway-dev-fleets": "look again",
    }
    assert "    looked at again if other values come from slipway-lab-network" in provision.plan_lines(plan)


def test_a_source_that_changed_later_than_its_reader_asks_for_a_change_set(lab: Lab) -> None:
    lab.have_all()
    lab.clock.advance(60)
    lab.stacks.have(network_template("10.1.0.0/16"))  # as a run that was killed before the reader left it
    lab.templates.of_network = (network_template("10.1.0.0/16"), security_template())
    plan = lab.plan(network_request())
    assert lab.made("create_change_set") == ["slipway-lab-security"]
    assert [(each.name, each.action) for each in plan.stacks][1] == ("slipway-lab-security", Action.UPDATE)
    assert plan.stacks[1].changes[0].properties == ("VpcId",)


def test_a_reader_of_what_is_not_there_yet_is_told_from_templates(lab: Lab) -> None:
    lab.have_all()
    del lab.stacks.stacks["slipway-lab-security"]
    lab.templates.of_environments["dev"] = (queues_template(DelaySeconds=5),)
    plan = lab.plan(replace(environment_request(), network=Network.YES))
    queues = plan.stacks[-1]
    assert (queues.action, queues.change_set_id) == (Action.UPDATE, "")
    assert (queues.changes[0].effect, queues.changes[0].properties) == (Effect.CHANGED, ("DelaySeconds",))
    assert (
        "    told from the templates: it reads what is not there yet, so what is replaced is not known"
        in provision.plan_lines(plan)
    )


def test_an_environment_brings_its_network_along_only_when_that_lacks_something(lab: Lab) -> None:
    assert list(actions(lab.plan(environment_request())))[:2] == [
        "slipway-lab-network",
        "slipway-lab-security",
    ]
    lab.have_all()
    assert "slipway-lab-network" not in actions(lab.plan(environment_request()))
    queues = queues_template(
        Key={"Fn::GetStackOutput": {"StackName": "slipway-lab-security", "OutputName": "New"}}
    )
    lab.templates.of_environments["dev"] = (queues,)
    assert "slipway-lab-security" in actions(lab.plan(environment_request()))


def test_stacks_that_the_configuration_has_no_more_are_told_and_left_alone(lab: Lab) -> None:
    lab.have_all()
    lab.templates.of_environments["dev"] = lab.templates.of_environments["dev"][:-1]
    lines = provision.plan_lines(lab.plan(environment_request()))
    assert "left alone: slipway-dev-fleets is there, but the configuration has no such stack" in lines


def test_fleets_wait_for_images(lab: Lab) -> None:
    lab.images.images.clear()
    plan = lab.plan(environment_request())
    assert actions(plan)["slipway-dev-fleets"] == "wait"
    line = next(line for line in provision.plan_lines(plan) if line.startswith("slipway-dev-fleets"))
    assert line == ("slipway-dev-fleets     wait: no published image of api to launch; invoke bake-ami")


def test_the_first_image_of_a_fleet_is_shown_and_a_rollouts_is_not_touched(lab: Lab) -> None:
    (image,) = lab.images.images.values()
    shown = f"first image: /slipway/dev/api/ami becomes {image.ami_id}"
    assert shown in provision.plan_lines(lab.plan(environment_request()))
    lab.parameters.values["/slipway/dev/api/ami"] = "ami-of-a-rollout"
    assert shown not in provision.plan_lines(lab.plan(environment_request()))


@pytest.mark.parametrize("effect", [Effect.REPLACED, Effect.MAY_BE_REPLACED], ids=lambda each: each.name)
def test_what_holds_data_is_not_replaced_unless_it_is_named(lab: Lab, effect: Effect) -> None:
    lab.have_all()
    lab.templates.of_network = (network_template(), security_template(KeySpec="RSA_2048"))
    lab.stacks.effects = {"DataKey": effect}
    world = lab.world()
    plan = lab.plan(network_request())
    with pytest.raises(Refused) as caught:
        provision.confirm(world, network_request(), plan, is_confirmed=True)
    assert str(caught.value) == (
        "error: network lab: slipway-lab-security/DataKey (AWS::KMS::Key) would be "
        f"{effect.value} for KeySpec, and with it all that is encrypted with it.\n"
        "state: nothing changed.\n"
        "next: if that is meant: invoke provision --network lab "
        "--allow-replace slipway-lab-security/DataKey"
    )
    for name in ("DataKey", "slipway-lab-security/DataKey"):
        request = network_request(name)
        provision.confirm(world, request, lab.plan(request), is_confirmed=True)
    with pytest.raises(Refused):
        other = network_request("slipway-lab-network/DataKey")
        provision.confirm(world, other, lab.plan(other), is_confirmed=True)


def test_what_holds_data_is_not_removed_unless_it_is_named(lab: Lab) -> None:
    lab.have_all()
    lab.templates.of_environments["dev"] = (
        *lab.templates.of_environments["dev"][:1],
        replace(queues_template(), text='{"Resources": {}, "Outputs": {}}'),
    )
    plan = lab.plan(environment_request())
    assert [str(each) for each in plan.forbidden] == [
        "slipway-dev-queues/Jobs (AWS::SQS::Queue) would be removed, and with it messages"
    ]
    assert (
        "refused: slipway-dev-queues/Jobs (AWS::SQS::Queue) would be removed, and with it messages; "
        "--allow-replace\n  slipway-dev-queues/Jobs allows it"
    ) in "\n".join(provision.plan_lines(plan))


def test_a_protected_environment_asks_to_be_confirmed() -> None:
    lab = Lab(is_protected=True)
    plan = lab.plan(environment_request())
    with pytest.raises(Refused) as caught:
        provision.confirm(lab.world(), environment_request(), plan, is_confirmed=False)
    assert (
        caught.value.next_command == "invoke provision --environment dev --dry-run, then the same with --yes"
    )
    assert caught.value.cause == "dev, lab: protected"
    provision.confirm(lab.world(), environment_request(), plan, is_confirmed=True)


def test_credentials_of_another_account_see_nothing(lab: Lab) -> None:
    lab.identity.account = "999999999999"
    with pytest.raises(Refused, match="999999999999"):
        lab.plan(network_request())
    assert lab.stacks.calls == []


def test_a_template_that_is_too_large_is_refused(lab: Lab) -> None:
    large = network_template(**{f"Queue{number}": resource("SQS::Queue") for number in range(1000)})
    lab.templates.of_network = (large,)
    with pytest.raises(ConfigError) as caught:
        lab.plan(network_request())
    assert caught.value.problems == (
        f"stack slipway-lab-network: its template has {large.size} bytes, CloudFormation takes 51200",
    )


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name slipway-lab-network"),
        ("ROLLBACK_FAILED", "delete-stack --stack-name slipway-lab-network"),
        ("DELETE_FAILED", "describe-stack-events --stack-name slipway-lab-network"),
    ],
)
def test_a_stack_that_is_stuck_needs_a_person(lab: Lab, status: str, hint: str) -> None:
    lab.stacks.have(network_template(), status, reason="no permission")
    with pytest.raises(Stranded) as caught:
        lab.plan(network_request())
    assert caught.value.cause == f"it is {status}: no permission"
    assert hint in caught.value.next_command


def test_a_change_set_that_can_not_be_made_is_an_error_of_aws(lab: Lab) -> None:
    lab.have_all()
    lab.templates.of_network = (network_template("10.1.0.0/16"),)
    lab.stacks.fail("change_set", AwsError("cloudformation", "DescribeChangeSet", "AccessDenied", "no"))
    with pytest.raises(AwsError, match="AccessDenied"):
        lab.plan(network_request())
    assert lab.stacks.change_sets == {}


def test_the_plan_as_a_document_holds_every_change(lab: Lab) -> None:
    lab.have_all()
    lab.templates.of_environments["dev"] = (fleets_template(InstanceType="t3.small"),)
    (stack,) = lab.plan(environment_request()).as_dict()["stacks"]
    assert (stack["stack"], stack["action"], stack["from"]) == ("slipway-dev-fleets", "update", "change set")
    assert stack["changes"] == [
        {
            "effect": "changed",
            "logical_id": "ApiTemplate",
            "type": "AWS::EC2::LaunchTemplate",
            "physical_id": "ApiTemplate-1",
            "properties": ["LaunchTemplateData"],
            "is_kept": False,
        }
    ]
