# SPDX-License-Identifier: Apache-2.0
"""Instance profiles of IAM."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.ec2_kinds import Description, picked
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent
from sandbox.cloudformation.resources.iam import NO_ENTITY


class InstanceProfile:
    """AWS::IAM::InstanceProfile: what gives a machine a role."""

    type_name = "AWS::IAM::InstanceProfile"
    properties = frozenset({"InstanceProfileName", "Path", "Roles"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the profile with its role."""
        name = properties.get("InstanceProfileName", call.name)
        call.client("iam").create_instance_profile(
            InstanceProfileName=name, **picked(dict(properties), "Path")
        )
        with undone_by(lambda: self.delete(call, name, properties)):
            self._change_roles(call, name, before=(), after=properties["Roles"])
            return self._physical(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the profile."""
        profile = self._described(call, physical_id)
        if profile is None:
            return None
        roles = [role["RoleName"] for role in profile["Roles"]]
        return {**picked(profile, "InstanceProfileName", "Path"), "Roles": roles}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put another role in."""
        self._change_roles(call, physical_id, before=before["Roles"], after=after["Roles"])
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the profile."""
        del properties
        profile = self._described(call, physical_id)
        if profile is None:
            return
        roles = [role["RoleName"] for role in profile["Roles"]]
        self._change_roles(call, physical_id, before=roles, after=())
        with absent_is_fine(NO_ENTITY):
            call.client("iam").delete_instance_profile(InstanceProfileName=physical_id)

    def _change_roles(self, call: Call, name: str, *, before: Iterable[str], after: Iterable[str]) -> None:
        iam = call.client("iam")
        # A profile holds one role at most: the old one leaves first.
        for role in set(before) - set(after):
            with absent_is_fine(NO_ENTITY):
                iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        for role in set(after) - set(before):
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)

    def _described(self, call: Call, name: str) -> Description | None:
        iam = call.client("iam")
        answer = unless_absent(lambda: iam.get_instance_profile(InstanceProfileName=name), NO_ENTITY)
        return answer["InstanceProfile"] if answer else None

    def _physical(self, call: Call, name: str) -> Physical:
        return Physical(name, picked(self._described(call, name) or {}, "Arn"))


HANDLERS = (InstanceProfile(),)
