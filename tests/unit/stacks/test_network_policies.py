# SPDX-License-Identifier: Apache-2.0
"""Keys, policies and logs of networks: nobody may more than what it is there for."""

from __future__ import annotations

import json

import pytest

from tests.unit.stacks.network_templates import NETWORKS, every_resource, inputs, resources
from tests.unit.stacks.policy_evaluation import listed
from tests.unit.stacks.policy_statements import statements

ALLOWED = [
    (where, resource["Type"], statement)
    for where, resource in every_resource()
    for statement in statements(resource["Properties"])
    if statement["Effect"] == "Allow"
]


def test_there_are_policies_to_look_at() -> None:
    assert len(ALLOWED) > 20 * len(NETWORKS)


def test_no_wildcard_action_meets_a_wildcard_resource() -> None:
    """Except where a policy can't be about more than what it hangs on: a key, or the door to a service."""
    broad = {
        (type_name, json.dumps(statement["Principal"]))
        for _, type_name, statement in ALLOWED
        if any(action.endswith("*") for action in listed(statement["Action"]))
        and "*" in listed(statement.get("Resource"))
        and "Condition" not in statement
    }
    accounts = {inputs(name).account_id for name in NETWORKS}
    assert broad == {
        ("AWS::KMS::Key", json.dumps({"AWS": f"arn:aws:iam::{account}:root"})) for account in accounts
    }


def test_everybody_is_named_only_by_what_the_account_s_own_condition_limits() -> None:
    to_all = [
        (type_name, statement["Condition"])
        for _, type_name, statement in ALLOWED
        if "*" in json.dumps(statement.get("Principal", {}))
    ]
    account = inputs("production").account_id
    only_own = {"StringEquals": {"aws:PrincipalAccount": account}}
    assert to_all == [("AWS::EC2::VPCEndpoint", only_own)] * 2


@pytest.mark.parametrize("name", NETWORKS)
def test_services_act_for_this_account_only(name: str) -> None:
    account = inputs(name).account_id
    unlimited = [
        where
        for where, _, statement in ALLOWED
        if where.startswith(f"slipway-{name}-")
        and "Service" in statement.get("Principal", {})
        and account not in json.dumps(statement.get("Condition", statement.get("Resource")))
    ]
    assert unlimited == []


@pytest.mark.parametrize("name", NETWORKS)
def test_keys_rotate_and_outlive_their_stack(name: str) -> None:
    keys = resources(name, "security", "AWS::KMS::Key")
    assert sorted(keys) == ["DataKey", "LogsKey"]
    for key in keys.values():
        assert key["Properties"]["EnableKeyRotation"] is True
        assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_log_group_is_encrypted_and_ends(name: str) -> None:
    groups = {
        where: resource["Properties"]
        for where, resource in every_resource()
        if resource["Type"] == "AWS::Logs::LogGroup" and where.startswith(f"slipway-{name}-")
    }
    kinds = {where.split("/")[0].rpartition("-")[2] for where in groups}
    assert kinds == {"security", "database", "balancer"}
    for group in groups.values():
        assert group["RetentionInDays"] >= inputs(name).network.log_days
        assert group["KmsKeyId"]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_logs_bucket_is_private_and_takes_tls_only(name: str) -> None:
    bucket = resources(name, "security", "AWS::S3::Bucket")["LogsBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (policy,) = resources(name, "security", "AWS::S3::BucketPolicy").values()
    denials = [
        each for each in policy["Properties"]["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"
    ]
    assert [each["Condition"] for each in denials] == [{"Bool": {"aws:SecureTransport": "false"}}]


@pytest.mark.parametrize("name", NETWORKS)
def test_all_flows_of_the_vpc_are_logged(name: str) -> None:
    (flow_log,) = resources(name, "security", "AWS::EC2::FlowLog").values()
    assert flow_log["Properties"]["TrafficType"] == "ALL"
    vpc = {"Fn::GetStackOutput": {"StackName": f"slipway-{name}-network", "OutputName": "VpcId"}}
    assert flow_log["Properties"]["ResourceId"] == vpc
