# SPDX-License-Identifier: Apache-2.0
"""Managed policies of IAM: a new document is a new version, of which there are five at most."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.ec2_kinds import Description, picked
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent
from sandbox.cloudformation.resources.iam import NO_ENTITY

MOST_VERSIONS = 5


class ManagedPolicy:
    """AWS::IAM::ManagedPolicy, for roles: its id is its ARN."""

    type_name = "AWS::IAM::ManagedPolicy"
    properties = frozenset({"ManagedPolicyName", "Path", "Description", "PolicyDocument", "Roles"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the policy and attach it."""
        answer = call.client("iam").create_policy(
            PolicyName=properties.get("ManagedPolicyName", call.name),
            PolicyDocument=json.dumps(properties["PolicyDocument"]),
            **picked(dict(properties), "Path", "Description"),
        )
        arn = answer["Policy"]["Arn"]
        with undone_by(lambda: self.delete(call, arn, properties)):
            _attach(call, arn, properties.get("Roles", ()))
            return self._physical(call, arn)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the policy's default version and all roles that have it."""
        policy = _policy(call, physical_id)
        if policy is None:
            return None
        version = call.client("iam").get_policy_version(
            PolicyArn=physical_id, VersionId=policy["DefaultVersionId"]
        )
        return {
            "ManagedPolicyName": policy["PolicyName"],
            **picked(policy, "Path", "Description"),
            "PolicyDocument": version["PolicyVersion"]["Document"],
            "Roles": _roles(call, physical_id),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Make a new version the default, and change who has the policy."""
        if before["PolicyDocument"] != after["PolicyDocument"]:
            _drop_versions(call, physical_id, keep=MOST_VERSIONS - 1)
            call.client("iam").create_policy_version(
                PolicyArn=physical_id,
                PolicyDocument=json.dumps(after["PolicyDocument"]),
                SetAsDefault=True,
            )
        old, new = set(before.get("Roles", ())), set(after.get("Roles", ()))
        _attach(call, physical_id, sorted(new - old))
        _detach(call, physical_id, sorted(old - new))
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the policy; roles of others that have it block it, as in AWS."""
        if _policy(call, physical_id) is None:
            return
        _detach(call, physical_id, properties.get("Roles", ()))
        _drop_versions(call, physical_id, keep=1)
        with absent_is_fine(NO_ENTITY):
            call.client("iam").delete_policy(PolicyArn=physical_id)

    def _physical(self, call: Call, arn: str) -> Physical:
        policy = _policy(call, arn) or {}
        names = (
            "AttachmentCount",
            "DefaultVersionId",
            "IsAttachable",
            "PermissionsBoundaryUsageCount",
            "PolicyId",
        )
        dates = {name: policy[name].isoformat() for name in ("CreateDate", "UpdateDate")}
        return Physical(arn, {"PolicyArn": arn, **{name: policy[name] for name in names}, **dates})


def _policy(call: Call, arn: str) -> Description | None:
    answer = unless_absent(lambda: call.client("iam").get_policy(PolicyArn=arn), NO_ENTITY)
    return answer["Policy"] if answer else None


def _roles(call: Call, arn: str) -> list[str]:
    pages = call.client("iam").get_paginator("list_entities_for_policy").paginate(PolicyArn=arn)
    return sorted(role["RoleName"] for page in pages for role in page["PolicyRoles"])


def _attach(call: Call, arn: str, roles: Iterable[str]) -> None:
    for role in roles:
        call.client("iam").attach_role_policy(RoleName=role, PolicyArn=arn)


def _detach(call: Call, arn: str, roles: Iterable[str]) -> None:
    for role in roles:
        with absent_is_fine(NO_ENTITY):
            call.client("iam").detach_role_policy(RoleName=role, PolicyArn=arn)


def _drop_versions(call: Call, arn: str, *, keep: int) -> None:
    """Delete the oldest versions that are not the default."""
    iam = call.client("iam")
    versions: list[dict[str, Any]] = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    oldest = sorted(versions, key=lambda version: int(version["VersionId"].removeprefix("v")))
    spare = [version["VersionId"] for version in oldest if not version["IsDefaultVersion"]]
    for version_id in spare[: max(len(versions) - keep, 0)]:
        iam.delete_policy_version(PolicyArn=arn, VersionId=version_id)


HANDLERS = (ManagedPolicy(),)
