# SPDX-License-Identifier: Apache-2.0
"""Keys of KMS and their aliases. A key that is removed is gone for CloudFormation, and waits to be deleted.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kms-key.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.ec2_kinds import Description, picked
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

NO_KEY = "NotFoundException"
_LONGEST_WINDOW_DAYS = 30
_FIXED = {"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": False}


class Key:
    """AWS::KMS::Key."""

    type_name = "AWS::KMS::Key"
    properties = frozenset(
        {
            "Description",
            "Enabled",
            "EnableKeyRotation",
            "KeyPolicy",
            "PendingWindowInDays",
            "Tags",
            *_FIXED,
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the key."""
        tags = tagging.wanted_of_user(call, properties)
        answer = call.client("kms").create_key(
            **picked(dict(properties), "Description", *_FIXED),
            **_policy(properties),
            Tags=[{"TagKey": key, "TagValue": value} for key, value in tags.items()],
        )
        key_id = answer["KeyMetadata"]["KeyId"]
        with undone_by(lambda: self.delete(call, key_id, properties)):
            _change_state(call, key_id, before={}, after=properties)
            return _physical(call, key_id)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the key, unless it waits to be deleted."""
        kms = call.client("kms")
        key = _key(call, physical_id)
        if key is None:
            return None
        policy = kms.get_key_policy(KeyId=physical_id, PolicyName="default")["Policy"]
        tags = kms.list_resource_tags(KeyId=physical_id)["Tags"]
        return {
            "Description": key["Description"],
            "Enabled": key["Enabled"],
            "EnableKeyRotation": kms.get_key_rotation_status(KeyId=physical_id)["KeyRotationEnabled"],
            "KeyPolicy": json.loads(policy),
            "KeySpec": key["KeySpec"],
            "KeyUsage": key["KeyUsage"],
            "MultiRegion": key["MultiRegion"],
            **tagging.shown({"Key": tag["TagKey"], "Value": tag["TagValue"]} for tag in tags),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change description, policy, rotation, whether it works, and tags."""
        kms = call.client("kms")
        for name, default in _FIXED.items():
            if before.get(name, default) != after.get(name, default):
                raise HandlerError(f"You cannot change the {name} of a key")
        if before.get("Description") != after.get("Description"):
            kms.update_key_description(KeyId=physical_id, Description=after.get("Description", ""))
        if before.get("KeyPolicy") != after.get("KeyPolicy"):
            policy = _policy(after) or {"Policy": json.dumps(_default_policy(call))}
            kms.put_key_policy(KeyId=physical_id, PolicyName="default", **policy)
        _change_state(call, physical_id, before=before, after=after)
        change = tagging.change(call, before, after)
        if change.removed:
            kms.untag_resource(KeyId=physical_id, TagKeys=change.removed)
        if change.put:
            tags = [{"TagKey": key, "TagValue": value} for key, value in change.put.items()]
            kms.tag_resource(KeyId=physical_id, Tags=tags)
        return _physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Let the key be deleted when its window has passed."""
        if _key(call, physical_id) is not None:
            window = properties.get("PendingWindowInDays", _LONGEST_WINDOW_DAYS)
            call.client("kms").schedule_key_deletion(KeyId=physical_id, PendingWindowInDays=window)


class Alias:
    """AWS::KMS::Alias."""

    type_name = "AWS::KMS::Alias"
    properties = frozenset({"AliasName", "TargetKeyId"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Give the key its name."""
        call.client("kms").create_alias(**properties)
        return Physical(properties["AliasName"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return which key has the name."""
        for page in call.client("kms").get_paginator("list_aliases").paginate():
            for alias in page["Aliases"]:
                if alias["AliasName"] == physical_id:
                    return picked(alias, "AliasName", "TargetKeyId")
        return None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Give the name to another key."""
        del before
        call.client("kms").update_alias(AliasName=physical_id, TargetKeyId=after["TargetKeyId"])
        return Physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Take the name away."""
        del properties
        with absent_is_fine(NO_KEY):
            call.client("kms").delete_alias(AliasName=physical_id)


def _key(call: Call, key_id: str) -> Description | None:
    answer = unless_absent(lambda: call.client("kms").describe_key(KeyId=key_id), NO_KEY)
    if answer is None or answer["KeyMetadata"]["KeyState"] == "PendingDeletion":
        return None
    key: Description = answer["KeyMetadata"]
    return key


def _physical(call: Call, key_id: str) -> Physical:
    return Physical(key_id, picked(_key(call, key_id) or {}, "Arn", "KeyId"))


def _policy(properties: Properties) -> dict[str, str]:
    policy = properties.get("KeyPolicy")
    if policy is None:
        return {}
    return {"Policy": json.dumps(policy) if isinstance(policy, Mapping) else policy}


def _default_policy(call: Call) -> dict[str, Any]:
    """Return what a key without a policy has: the account may do everything."""
    return {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{call.account_id}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }


def _change_state(call: Call, key_id: str, *, before: Properties, after: Properties) -> None:
    """Switch rotation and the key itself; a key that is off can't change its rotation."""
    kms = call.client("kms")
    switches = (
        ("Enabled", True, kms.enable_key, kms.disable_key),
        ("EnableKeyRotation", False, kms.enable_key_rotation, kms.disable_key_rotation),
    )
    turned_off = not after.get("Enabled", True)
    for name, default, turn_on, turn_off in reversed(switches) if turned_off else switches:
        is_on = after.get(name, default)
        if is_on != before.get(name, default):
            (turn_on if is_on else turn_off)(KeyId=key_id)


HANDLERS = (Key(), Alias())
