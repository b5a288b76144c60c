# SPDX-License-Identifier: Apache-2.0
"""What differs from the stacks, and what differs by design."""

from __future__ import annotations

import pytest

from orchestrator.domain.drift import INTENDED, Difference, DriftKind, ResourceDrift, unintended
from orchestrator.errors import AwsError, DriftFound
from orchestrator.workflows import drift
from tests.unit.provision_world import Lab, network_request, network_template

GROUP = "AWS::AutoScaling::AutoScalingGroup"
POLICY = Difference("/PolicyDocument/Statement/0/Effect", "Deny", "Allow")


def modified(*differences: Difference, type_name: str = "AWS::S3::BucketPolicy") -> ResourceDrift:
    return ResourceDrift(
        "slipway-lab-network", "Thing", type_name, "thing-1", DriftKind.MODIFIED, tuple(differences)
    )


DELETED = ResourceDrift(
    "slipway-lab-network", "Member", "AWS::RDS::DBInstance", "member-1", DriftKind.DELETED
)


@pytest.fixture
def lab() -> Lab:
    lab = Lab()
    lab.have_all()
    return lab


@pytest.mark.parametrize(("type_name", "path"), INTENDED, ids=lambda each: each)
def test_what_differs_by_design_is_no_drift(type_name: str, path: str) -> None:
    intended, other = Difference(path, "1", "2"), Difference("/MaxSize", "3", "4")
    assert unintended([modified(intended, type_name=type_name)]) == ()
    assert unintended([modified(intended, other, type_name=type_name)]) == (
        modified(other, type_name=type_name),
    )


def test_a_group_that_is_gone_is_drift_whatever_differs_by_design() -> None:
    gone = ResourceDrift("s", "Group", GROUP, "g", DriftKind.DELETED)
    assert unintended([gone]) == (gone,)


def test_no_drift_is_said_and_ends_well(lab: Lab) -> None:
    report = drift.look(lab.world(), network_request(), lab.reporter)
    assert report.lines() == ("network lab: no drift, 2 looked at",)
    drift.refuse_drift(network_request(), report)


def test_drift_is_told_by_property_and_ends_with_4(lab: Lab) -> None:
    lab.stacks.found_drifts = [modified(POLICY, Difference("/Tags", "", "[]")), DELETED]
    report = drift.look(lab.world(), network_request(), lab.reporter)
    assert report.lines() == (
        "slipway-lab-network/Thing (AWS::S3::BucketPolicy, thing-1):",
        "    /PolicyDocument/Statement/0/Effect  template: Deny",
        "                                        live:     Allow",
        "    /Tags                               template: (nothing)",
        "                                        live:     []",
        "slipway-lab-network/Member (AWS::RDS::DBInstance, member-1): is gone",
    )
    with pytest.raises(DriftFound) as caught:
        drift.refuse_drift(network_request(), report)
    assert caught.value.exit_code == 4
    assert caught.value.as_dict()["drift"] == [
        {
            "stack": "slipway-lab-network",
            "logical_id": "Thing",
            "type": "AWS::S3::BucketPolicy",
            "physical_id": "thing-1",
            "kind": "MODIFIED",
            "differences": [
                {"path": "/PolicyDocument/Statement/0/Effect", "template": "Deny", "live": "Allow"},
                {"path": "/Tags", "template": "", "live": "[]"},
            ],
        },
        {
            "stack": "slipway-lab-network",
            "logical_id": "Member",
            "type": "AWS::RDS::DBInstance",
            "physical_id": "member-1",
            "kind": "DELETED",
            "differences": [],
        },
    ]


def test_a_stack_that_is_worked_on_is_not_looked_at(lab: Lab) -> None:
    lab.stacks.have(network_template(), "UPDATE_IN_PROGRESS")
    report = drift.look(lab.world(), network_request(), lab.reporter)
    assert report.lines() == (
        "network lab: no drift, 1 looked at",
        "not looked at: slipway-lab-network is UPDATE_IN_PROGRESS",
    )


def test_a_comparison_that_fails_is_no_clean_bill(lab: Lab) -> None:
    lab.stacks.drift_failure = "Failed to detect drift on resource [Vpc]"
    with pytest.raises(AwsError, match="Failed to detect drift"):
        drift.look(lab.world(), network_request(), lab.reporter)


def on_version(number: str) -> ResourceDrift:
    difference = Difference("/LaunchTemplate/Version", "1", number)
    return ResourceDrift(
        "slipway-lab-network",
        "ApiGroup",
        GROUP,
        "slipway-dev-api",
        DriftKind.MODIFIED,
        (difference,),
    )


@pytest.fixture(name="rolled")
def fixture_rolled(lab: Lab) -> Lab:
    """A fleet that a rollout has put on version 2; version 3 has an image that was taken back."""
    template_id = lab.launch_templates.have("ami-1")
    lab.fleets.have("slipway-dev-api", template_id, machines=1)
    for ami_id in ("ami-2", "ami-3"):
        lab.launch_templates.create_version(
            template_id, source=1, ami_id=ami_id, description="", token=ami_id
        )
    lab.parameters.values["/slipway/dev/api/ami"] = "ami-2"
    return lab


def test_a_fleet_that_runs_what_its_parameter_names_has_not_drifted(rolled: Lab) -> None:
    rolled.stacks.found_drifts = [on_version("2")]
    assert drift.look(rolled.world(), network_request(), rolled.reporter).drifts == ()


def test_a_fleet_that_somebody_put_on_another_image_has_drifted(rolled: Lab) -> None:
    rolled.stacks.found_drifts = [on_version("3")]
    found = drift.look(rolled.world(), network_request(), rolled.reporter).drifts
    assert {each.logical_id: each.differences for each in found} == {
        "ApiGroup": (Difference("/LaunchTemplate/Version", "1", "3"),)
    }


def test_what_a_group_of_no_fleet_is_on_was_no_rollout(rolled: Lab) -> None:
    strange = ResourceDrift(
        "slipway-lab-network",
        "Other",
        GROUP,
        "other",
        DriftKind.MODIFIED,
        (Difference("/LaunchTemplate/Version", "1", "2"),),
    )
    rolled.stacks.found_drifts = [strange]
    assert drift.look(rolled.world(), network_request(), rolled.reporter).drifts == (strange,)
