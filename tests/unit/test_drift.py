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
