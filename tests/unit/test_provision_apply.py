# SPDX-License-Identifier: Apache-2.0
"""What `invoke provision` does: in which order, what it leaves, and how it ends when something fails."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.change_set import Effect
from orchestrator.domain.stack import stack_policy
from orchestrator.errors import AwsError, NotFound, Refused, RolledBack, Stranded, WaitTimeout
from orchestrator.workflows import provision
from orchestrator.workflows.provision.world import Network
from tests.unit.provision_world import (
    RUN_ID,
    Lab,
    environment_request,
    fleets_template,
    network_request,
    network_template,
    queues_template,
    resource,
    security_template,
)

EVERYTHING = (
    "slipway-lab-network",
    "slipway-lab-security",
    "slipway-dev-state",
    "slipway-dev-queues",
    "slipway-dev-functions",
    "slipway-dev-fleets",
)


@pytest.fixture
def lab() -> Lab:
    return Lab()


def fates(result: provision.ProvisionResult) -> dict[str, str]:
    return {each.name: each.fate.value for each in result.stacks}


def test_everything_goes_up_after_what_it_depends_on(lab: Lab) -> None:
    result = lab.run(environment_request())
    assert fates(result) == dict.fromkeys(EVERYTHING, "created")
    assert lab.stacks.statuses == dict.fromkeys(sorted(EVERYTHING), "CREATE_COMPLETE")
    order = lab.made("execute")
    for first, then in (
        ("slipway-lab-network", "slipway-lab-security"),
        ("slipway-lab-security", "slipway-dev-queues"),
        ("slipway-dev-state", "slipway-dev-functions"),
        ("slipway-dev-queues", "slipway-dev-fleets"),
    ):
        assert order.index(first) < order.index(then)
    assert lab.stacks.change_sets == {}
    assert lab.plan(environment_request()).is_empty


def test_every_event_is_told_once(lab: Lab) -> None:
    lab.run(network_request())
    told = [text for task, text in lab.reporter.of("step") if task == "slipway-lab-security"]
    assert told == [
        "making the change set",
        "CREATE_IN_PROGRESS slipway-lab-security (AWS::CloudFormation::Stack)",
        "CREATE_COMPLETE DataKey (AWS::KMS::Key)",
        "CREATE_COMPLETE ApiGroup (AWS::EC2::SecurityGroup)",
        "CREATE_COMPLETE slipway-lab-security (AWS::CloudFormation::Stack)",
    ]


def test_a_change_goes_to_those_who_read_it_and_to_nobody_else(lab: Lab) -> None:
    lab.run(environment_request())
    lab.templates.of_network = (network_template("10.1.0.0/16"), security_template())
    lab.stacks.calls.clear()
    result = lab.run(replace(environment_request(), network=Network.YES))
    assert fates(result) == {
        **dict.fromkeys(EVERYTHING, "no changes"),
        "slipway-lab-network": "updated",
        "slipway-lab-security": "updated",
    }
    assert lab.made("create_change_set") == ["slipway-lab-network", "slipway-lab-security"]


def test_what_only_another_stack_makes_it_lose_is_not_done_unseen(lab: Lab) -> None:
    lab.run(network_request())
    lab.templates.of_network = (network_template("10.1.0.0/16"), security_template())
    lab.stacks.effects = {"ApiGroup": Effect.REPLACED}
    with pytest.raises(Refused) as caught:
        lab.run(network_request())
    assert caught.value.cause == (
        "slipway-lab-security/ApiGroup (AWS::EC2::SecurityGroup) would be replaced for VpcId, "
        "which the plan could not show"
    )
    assert caught.value.next_command == "invoke provision --network lab --dry-run, which shows it now"
    assert lab.stacks.statuses["slipway-lab-network"] == "UPDATE_COMPLETE"
    # The next plan shows it, and so it may be done.
    assert fates(lab.run(network_request()))["slipway-lab-security"] == "updated"


def test_a_failed_create_is_rolled_back_and_made_anew_by_the_next_run(lab: Lab) -> None:
    lab.stacks.breaks = {"DataKey": "The limit for keys is reached"}
    with pytest.raises(RolledBack) as caught:
        lab.run(environment_request())
    error = caught.value
    assert error.exit_code == 7
    assert error.what == "provision slipway-lab-security"
    assert error.cause == "CREATE_FAILED DataKey (AWS::KMS::Key): The limit for keys is reached"
    assert "failed: slipway-lab-security; not begun: slipway-dev-queues" in error.state
    assert error.state.endswith("slipway-dev-fleets")
    assert error.next_command == "mend that, then invoke provision --environment dev"
    assert lab.stacks.statuses["slipway-lab-security"] == "ROLLBACK_COMPLETE"
    assert lab.record()["outcome"].startswith("failed: provision slipway-lab-security: CREATE_FAILED")

    lab.stacks.breaks = {}
    plan = lab.plan(environment_request())
    headlines = [line for line in provision.plan_lines(plan) if line.startswith("slipway-lab-security")]
    assert headlines == [
        "slipway-lab-security   remove what failed and create (it is ROLLBACK_COMPLETE): 2 added"
    ]
    result = lab.run(environment_request())
    assert fates(result)["slipway-lab-security"] == "created"
    assert lab.made("delete") == ["slipway-lab-security"]


def test_what_was_only_reviewed_is_created_in_its_place(lab: Lab) -> None:
    lab.stacks.have(network_template(), "REVIEW_IN_PROGRESS")
    assert fates(lab.run(network_request()))["slipway-lab-network"] == "created"
    assert lab.made("delete") == []


def test_a_failed_update_leaves_the_stack_as_it_was(lab: Lab) -> None:
    lab.run(network_request())
    lab.templates.of_network = (network_template("10.1.0.0/16"), security_template())
    lab.stacks.breaks = {"Vpc": "no"}
    with pytest.raises(RolledBack) as caught:
        lab.run(network_request())
    assert caught.value.state.startswith("slipway-lab-network is as it was before")
    assert lab.stacks.statuses["slipway-lab-network"] == "UPDATE_ROLLBACK_COMPLETE"


@pytest.mark.parametrize("is_new", [True, False], ids=["create", "update"])
def test_what_can_not_be_taken_back_is_stranded(lab: Lab, is_new: bool) -> None:
    if not is_new:
        lab.run(network_request())
        lab.templates.of_network = (network_template("10.1.0.0/16"), security_template())
    lab.stacks.breaks, lab.stacks.breaks_rollback = {"Vpc": "no"}, True
    with pytest.raises(Stranded) as caught:
        lab.run(network_request())
    status = "ROLLBACK_FAILED" if is_new else "UPDATE_ROLLBACK_FAILED"
    assert caught.value.exit_code == 8
    assert caught.value.state.startswith(f"slipway-lab-network is {status}")
    assert lab.stacks.statuses["slipway-lab-network"] == status


def test_what_runs_beside_a_failure_is_followed_to_its_end(lab: Lab) -> None:
    lab.templates.of_network = ()
    first, second = (replace(each, owner="dev") for each in lab.templates.of_environments["dev"][:2])
    alone = replace(second, text=json.dumps({"Resources": {"Jobs": resource("SQS::Queue")}}))
    lab.templates.of_environments["dev"] = (first, alone)
    lab.stacks.breaks = {"ConfigBucket": "the name is taken"}
    with pytest.raises(RolledBack):
        lab.run(environment_request())
    assert lab.stacks.statuses["slipway-dev-queues"] == "CREATE_COMPLETE"


def test_named_data_is_replaced_and_the_policy_is_strict_again(lab: Lab) -> None:
    lab.run(network_request())
    lab.templates.of_network = (network_template(), security_template(KeySpec="RSA_2048"))
    lab.stacks.effects = {"DataKey": Effect.REPLACED}
    strict = stack_policy(security_template().body)
    policies: list[Any] = []
    lab.stacks.after_call = lambda call: (
        policies.append(lab.stacks.stacks["slipway-lab-security"].policy)
        if call == "execute slipway-lab-security"
        else None
    )
    lab.run(network_request("DataKey"))
    assert [policy["Statement"][1:] for policy in policies] == [[]]
    assert lab.stacks.stacks["slipway-lab-security"].policy == strict


def test_stacks_of_a_protected_environment_can_not_be_deleted_and_keep_their_data() -> None:
    lab = Lab(is_protected=True)
    lab.run(environment_request(), is_confirmed=True)
    assert {name: each.state.has_termination_protection for name, each in lab.stacks.stacks.items()} == (
        dict.fromkeys(EVERYTHING, True)
    )
    assert lab.stacks.stacks["slipway-dev-queues"].policy == {
        "Statement": [
            {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
            {
                "Effect": "Deny",
                "Action": ["Update:Replace", "Update:Delete"],
                "Principal": "*",
                "Resource": ["LogicalResourceId/Jobs"],
            },
        ]
    }


def test_protection_alone_is_set_without_an_update(lab: Lab) -> None:
    lab.run(environment_request())
    lab.is_protected = True
    lab.stacks.calls.clear()
    assert set(fates(lab.run(environment_request(), is_confirmed=True)).values()) == {"set"}
    assert lab.made("execute") == []


def test_an_operation_of_somebody_else_is_followed_first(lab: Lab) -> None:
    lab.stacks.have(network_template(), "UPDATE_IN_PROGRESS")
    plan = lab.plan(network_request())
    assert [each.name for each in plan.busy] == ["slipway-lab-network"]
    with pytest.raises(Refused, match="somebody works on it"):
        provision.confirm(lab.world(), network_request(), plan, is_confirmed=True)
    lab.stacks.finish("slipway-lab-network", "UPDATE_COMPLETE", after_s=30)
    provision.follow_busy(lab.world(), network_request(), lab.reporter)
    assert lab.reporter.of("step") == [
        ("slipway-lab-network", "CREATE_IN_PROGRESS slipway-lab-network (AWS::CloudFormation::Stack)"),
        ("slipway-lab-network", "UPDATE_COMPLETE slipway-lab-network (AWS::CloudFormation::Stack)"),
    ]
    assert lab.plan(network_request()).busy == ()


def refusal(code: str) -> AwsError:
    return AwsError("cloudformation", "DescribeStackEvents", code, "later")


def test_being_throttled_while_a_stack_goes_up_is_waited_out(lab: Lab) -> None:
    original = lab.stacks.execute_change_set

    def execute(change_set_id: str) -> None:
        original(change_set_id)
        lab.stacks.fail("events", refusal("Throttling"), refusal("Unreachable"))

    lab.stacks.execute_change_set = execute  # type: ignore[method-assign]
    assert set(fates(lab.run(network_request())).values()) == {"created"}


def test_an_error_that_stays_ends_the_run_with_what_is_known(lab: Lab) -> None:
    lab.stacks.fail("events", refusal("AccessDenied"))
    with pytest.raises(AwsError) as caught:
        lab.run(network_request())
    assert (caught.value.exit_code, caught.value.code) == (5, "AccessDenied")
    assert caught.value.state == "failed: slipway-lab-network; not begun: slipway-lab-security"


def test_what_never_ends_is_given_up_but_goes_on_in_aws(lab: Lab) -> None:
    lab.stacks.step_s = 8000.0
    with pytest.raises(WaitTimeout) as caught:
        lab.run(network_request())
    assert caught.value.exit_code == 9
    assert caught.value.next_command == "the same command again, which follows it on"


def test_a_lost_lock_stops_before_the_next_stack(lab: Lab) -> None:
    def lose(call: str) -> None:
        if call == "execute slipway-lab-network":
            lab.locks.given[0][1].is_lost = True

    lab.stacks.after_call = lose
    with pytest.raises(Refused, match="lost while it was held"):
        lab.run(network_request())
    assert lab.made("execute") == ["slipway-lab-network"]


@pytest.mark.parametrize("name", ["provision/dev", "provision/network-lab"])
def test_a_lock_of_somebody_else_is_refused_before_anything_changes(lab: Lab, name: str) -> None:
    lab.locks.hold_for_other(name, "run-of-ana")
    with pytest.raises(Refused, match="run-of-ana"):
        lab.run(environment_request())
    assert lab.stacks.statuses == {}
    assert list(lab.locks.held) == [name]


def test_locks_and_records_are_kept_as_soon_as_their_bucket_is_there(lab: Lab) -> None:
    lab.objects.has_bucket = False
    no_bucket = NotFound("s3", "PutObject", "NoSuchBucket", "no")
    # Once at the beginning; whatever is up before the bucket is looks again.
    lab.locks.fail("hold provision/dev", no_bucket)
    lab.locks.fail("hold provision/network-lab", no_bucket)

    def appear(call: str) -> None:
        if call == "execute slipway-dev-state":
            lab.objects.has_bucket = True

    lab.stacks.after_call = appear
    lab.run(environment_request())
    assert sorted(name for name, _ in lab.locks.given) == ["provision/dev", "provision/network-lab"]
    assert lab.locks.held == {}
    record = lab.record()
    assert (record["run_id"], record["outcome"]) == (RUN_ID, "done")
    assert record["stacks"]["slipway-dev-fleets"]["status"] == "CREATE_COMPLETE"


def test_a_record_is_written_before_the_first_change(lab: Lab) -> None:
    seen: list[dict[str, Any]] = []
    lab.stacks.after_call = lambda call: (
        seen.append(lab.record()) if call.startswith("execute") and not seen else None
    )
    lab.run(network_request())
    assert seen[0]["outcome"] == "running"
    assert seen[0]["stacks"]["slipway-lab-network"]["status"] == "executing"
    assert seen[0]["stacks"]["slipway-lab-security"]["status"] == "planned"
    assert seen[0]["command"] == "invoke provision --network lab"


def test_a_run_goes_on_where_a_killed_one_was_stopped(lab: Lab) -> None:
    killed = "provision-20260101T110000-ffffff"
    lab.objects.put(
        f"records/provision/{killed}.json", json.dumps({"run_id": killed, "outcome": "running"}).encode()
    )
    lab.run(network_request())
    assert lab.reporter.of("note") == [("", f"going on where run {killed} was stopped")]
    assert lab.record(killed) == {"run_id": killed, "outcome": "killed", "continued_by": RUN_ID}


@pytest.fixture(name="interruptible")
def fixture_interruptible() -> Iterator[None]:
    """Let SIGINT be Ctrl-C, also where a shell has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_says_what_goes_on_and_how_to_look(lab: Lab) -> None:
    original = lab.reporter.step

    def stop(task: str, text: str, *, position: tuple[int, int] | None = None) -> None:
        original(task, text, position=position)
        if text.startswith("CREATE_COMPLETE Vpc"):
            signal.raise_signal(signal.SIGINT)
            while True:  # until the command has taken notice
                lab.stoppable.check()
                time.sleep(0.01)

    lab.reporter.step = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt) as caught:
        lab.run(network_request())
    assert str(caught.value).startswith("CloudFormation goes on with slipway-lab-network\n")
    assert "describe-stack-events --stack-name slipway-lab-network" in str(caught.value)
    assert lab.record()["outcome"] == "stopped by the operator"
    assert lab.locks.held == {}


def test_code_of_functions_is_stored_once_and_before_their_stack(lab: Lab, tmp_path: Path) -> None:
    lab.bundles.have("image_variants", tmp_path / "code.zip")
    lab.run(environment_request())
    assert lab.code.objects == {"functions/image_variants/1.zip": b"code"}
    assert lab.code.calls == ["keys", "put"]
    lab.templates.of_environments["dev"] = tuple(
        replace(each, text=each.text.replace("Lambda::Function", "Lambda::Function2"))
        for each in lab.templates.of_environments["dev"]
    )
    lab.code.calls.clear()
    lab.run(environment_request())
    assert lab.code.calls == ["keys"]


def test_first_images_are_written_and_never_over_a_rollouts(lab: Lab) -> None:
    lab.run(environment_request())
    (image,) = lab.images.images.values()
    assert lab.parameters.values == {"/slipway/dev/api/ami": image.ami_id}
    lab.parameters.values = {"/slipway/dev/api/ami": "ami-of-a-rollout"}
    lab.templates.of_environments["dev"] = (fleets_template(InstanceType="t3.small"),)
    lab.run(environment_request())
    assert lab.parameters.values == {"/slipway/dev/api/ami": "ami-of-a-rollout"}


def test_a_first_image_that_got_lost_is_written_without_an_update(lab: Lab) -> None:
    lab.run(environment_request())
    lab.parameters.values.clear()
    assert fates(lab.run(environment_request()))["slipway-dev-fleets"] == "set"
    assert list(lab.parameters.values) == ["/slipway/dev/api/ami"]


def test_what_needs_a_first_image_is_not_reviewed_before_it_has_one(lab: Lab) -> None:
    lab.run(environment_request())
    lab.parameters.values.clear()
    lab.templates.of_environments["dev"] = (fleets_template(InstanceType="t3.small"),)
    assert lab.plan(environment_request()).stacks[0].change_set_id == ""
    lab.stacks.calls.clear()
    assert fates(lab.run(environment_request())) == {"slipway-dev-fleets": "updated"}
    assert lab.made("create_change_set") == ["slipway-dev-fleets"]


def test_what_can_go_up_does_and_the_rest_waits_for_images(lab: Lab) -> None:
    lab.images.images.clear()
    with pytest.raises(Refused) as caught:
        lab.run(environment_request())
    assert "slipway-dev-fleets" not in lab.stacks.statuses
    assert "; waits: slipway-dev-fleets" in caught.value.state
    assert caught.value.next_command == (
        "invoke bake-ami --environment dev, then invoke provision --environment dev"
    )
    with pytest.raises(Refused) as caught:
        lab.run(environment_request())
    assert caught.value.state == "nothing changed"


def test_a_change_of_tags_alone_is_an_update(lab: Lab) -> None:
    lab.run(environment_request())
    tagged = replace(queues_template(), tags={"slipway:network": "lab", "slipway:environment": "dev"})
    lab.templates.of_environments["dev"] = (tagged,)
    assert fates(lab.run(environment_request())) == {"slipway-dev-queues": "updated"}
