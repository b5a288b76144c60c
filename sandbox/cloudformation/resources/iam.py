# SPDX-License-Identifier: Apache-2.0
"""IAM: roles, and policies that are part of them.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_IAM.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sandbox.cloudformation.handler import Call, NotUpdatable, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.ec2_kinds import Description, picked
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

NO_ENTITY = "NoSuchEntity"
_LONGEST_SESSION_S = 3600


class Role:
    """AWS::IAM::Role."""

    type_name = "AWS::IAM::Role"
    properties = frozenset(
        {
            "RoleName",
            "Path",
            "Description",
            "AssumeRolePolicyDocument",
            "MaxSessionDuration",
            "PermissionsBoundary",
            "ManagedPolicyArns",
            "Policies",
            "Tags",
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the role with its policies."""
        name = properties.get("RoleName", call.name)
        call.client("iam").create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"]),
            **picked(dict(properties), "Path", "Description", "MaxSessionDuration", "PermissionsBoundary"),
            Tags=tagging.as_list(tagging.wanted_of_user(call, properties)),
        )
        with undone_by(lambda: self.delete(call, name, properties)):
            _change_policies(call, name, before={}, after=properties)
            return self._physical(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the role with all policies that it has."""
        role = _role(call, physical_id)
        if role is None:
            return None
        boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        names = ("RoleName", "Path", "Description", "AssumeRolePolicyDocument", "MaxSessionDuration")
        return {
            **picked(role, *names),
            **({"PermissionsBoundary": boundary} if boundary else {}),
            "ManagedPolicyArns": _attached(call, physical_id),
            "Policies": _inline(call, physical_id),
            **tagging.shown(role.get("Tags", ())),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change trust, limits, policies and tags."""
        iam = call.client("iam")
        if before["AssumeRolePolicyDocument"] != after["AssumeRolePolicyDocument"]:
            document = json.dumps(after["AssumeRolePolicyDocument"])
            iam.update_assume_role_policy(RoleName=physical_id, PolicyDocument=document)
        iam.update_role(
            RoleName=physical_id,
            Description=after.get("Description", ""),
            MaxSessionDuration=after.get("MaxSessionDuration", _LONGEST_SESSION_S),
        )
        if boundary := after.get("PermissionsBoundary"):
            iam.put_role_permissions_boundary(RoleName=physical_id, PermissionsBoundary=boundary)
        elif "PermissionsBoundary" in before:
            iam.delete_role_permissions_boundary(RoleName=physical_id)
        _change_policies(call, physical_id, before=before, after=after)
        change = tagging.change(call, before, after)
        if change.removed:
            iam.untag_role(RoleName=physical_id, TagKeys=change.removed)
        if change.put:
            iam.tag_role(RoleName=physical_id, Tags=tagging.as_list(change.put))
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the role and what the template gave it; what others attached blocks it, as in AWS."""
        if _role(call, physical_id) is None:
            return
        _change_policies(call, physical_id, before=properties, after={})
        with absent_is_fine(NO_ENTITY):
            call.client("iam").delete_role(RoleName=physical_id)

    def _physical(self, call: Call, name: str) -> Physical:
        return Physical(name, picked(_role(call, name) or {}, "Arn", "RoleId"))


class InlinePolicy:
    """AWS::IAM::Policy, of roles: Ref gives the policy's name, by which its roles are found."""

    type_name = "AWS::IAM::Policy"
    properties = frozenset({"PolicyName", "PolicyDocument", "Roles"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Put the policy into its roles."""
        name = properties["PolicyName"]
        with undone_by(lambda: self.delete(call, name, properties)):
            self._put(call, properties)
        return Physical(name, {"Id": name})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the policy with all roles that have one of its name."""
        iam = call.client("iam")
        roles: list[str] = []
        document: Any = None
        for page in iam.get_paginator("list_roles").paginate():
            for role in page["Roles"]:
                found = _inline_document(call, role["RoleName"], physical_id)
                if found is not None:
                    roles.append(role["RoleName"])
                    document = found
        if not roles:
            return None
        return {"PolicyName": physical_id, "PolicyDocument": document, "Roles": roles}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the document and the roles."""
        if before["PolicyName"] != after["PolicyName"]:
            raise NotUpdatable("The name of a policy can't be changed")
        self._put(call, after)
        self._take(call, physical_id, set(before.get("Roles", ())) - set(after.get("Roles", ())))
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Take the policy out of its roles."""
        self._take(call, physical_id, properties.get("Roles", ()))

    def _put(self, call: Call, properties: Properties) -> None:
        for role in properties.get("Roles", ()):
            _put_inline(call, role, properties)

    def _take(self, call: Call, name: str, roles: Iterable[str]) -> None:
        for role in roles:
            with absent_is_fine(NO_ENTITY):
                call.client("iam").delete_role_policy(RoleName=role, PolicyName=name)


def _role(call: Call, name: str) -> Description | None:
    answer = unless_absent(lambda: call.client("iam").get_role(RoleName=name), NO_ENTITY)
    return answer["Role"] if answer else None


def _attached(call: Call, role: str) -> list[str]:
    pages = call.client("iam").get_paginator("list_attached_role_policies").paginate(RoleName=role)
    return [each["PolicyArn"] for page in pages for each in page["AttachedPolicies"]]


def _inline(call: Call, role: str) -> list[dict[str, Any]]:
    pages = call.client("iam").get_paginator("list_role_policies").paginate(RoleName=role)
    names = [name for page in pages for name in page["PolicyNames"]]
    return [{"PolicyName": name, "PolicyDocument": _inline_document(call, role, name)} for name in names]


def _inline_document(call: Call, role: str, name: str) -> Any | None:
    iam = call.client("iam")
    answer = unless_absent(lambda: iam.get_role_policy(RoleName=role, PolicyName=name), NO_ENTITY)
    return answer["PolicyDocument"] if answer else None


def _change_policies(call: Call, role: str, *, before: Properties, after: Properties) -> None:
    iam = call.client("iam")
    old, new = set(before.get("ManagedPolicyArns", ())), set(after.get("ManagedPolicyArns", ()))
    for arn in sorted(new - old):
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    for policy in after.get("Policies", ()):
        _put_inline(call, role, policy)
    kept = {policy["PolicyName"] for policy in after.get("Policies", ())}
    for policy in before.get("Policies", ()):
        if policy["PolicyName"] not in kept:
            with absent_is_fine(NO_ENTITY):
                iam.delete_role_policy(RoleName=role, PolicyName=policy["PolicyName"])
    for arn in sorted(old - new):
        with absent_is_fine(NO_ENTITY):
            iam.detach_role_policy(RoleName=role, PolicyArn=arn)


def _put_inline(call: Call, role: str, policy: Properties) -> None:
    document = json.dumps(policy["PolicyDocument"])
    call.client("iam").put_role_policy(
        RoleName=role, PolicyName=policy["PolicyName"], PolicyDocument=document
    )


HANDLERS = (Role(), InlinePolicy())
