# SPDX-License-Identifier: Apache-2.0
"""Secrets, who may read them, and when they are rotated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent

GONE = ("ResourceNotFoundException",)
_OWN_KEY = "alias/aws/secretsmanager"
_VALUES = ("GenerateSecretString", "SecretString")


class Secrets:
    """AWS::SecretsManager::Secret."""

    type_name = "AWS::SecretsManager::Secret"
    properties = frozenset({*_VALUES, "Description", "KmsKeyId", "Name", "Tags"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the secret with its first value."""
        given = {key: properties[key] for key in ("Description", "KmsKeyId") if key in properties}
        made = call.client("secretsmanager").create_secret(
            Name=properties.get("Name", call.name),
            Tags=tagging.as_list(tagging.wanted(call, properties)),
            **given,
            **_value(call, properties),
        )
        return _physical(made["ARN"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return everything but the value."""
        secret = _find(call, physical_id)
        if secret is None:
            return None
        shown = {key: secret[key] for key in ("Description", "KmsKeyId", "Name") if secret.get(key)}
        return shown | tagging.shown(secret.get("Tags", []))

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change what the template changed; the value stays if the template says the same of it."""
        client = call.client("secretsmanager")
        is_new = any(before.get(name) != after.get(name) for name in _VALUES)
        client.update_secret(
            SecretId=physical_id,
            Description=after.get("Description", ""),
            KmsKeyId=after.get("KmsKeyId", _OWN_KEY),
            **(_value(call, after) if is_new else {}),
        )
        change = tagging.change(call, before, after)
        if change.put:
            client.tag_resource(SecretId=physical_id, Tags=tagging.as_list(change.put))
        if change.removed:
            client.untag_resource(SecretId=physical_id, TagKeys=change.removed)
        return _physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the secret at once."""
        del properties
        with absent_is_fine(*GONE):
            call.client("secretsmanager").delete_secret(SecretId=physical_id, ForceDeleteWithoutRecovery=True)


class ResourcePolicies:
    """AWS::SecretsManager::ResourcePolicy."""

    type_name = "AWS::SecretsManager::ResourcePolicy"
    properties = frozenset({"ResourcePolicy", "SecretId"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Put the policy on the secret."""
        policy = json.dumps(properties["ResourcePolicy"])
        secret = properties["SecretId"]
        call.client("secretsmanager").put_resource_policy(SecretId=secret, ResourcePolicy=policy)
        return _physical(secret)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the policy."""
        client = call.client("secretsmanager")
        answer = unless_absent(lambda: client.get_resource_policy(SecretId=physical_id), *GONE)
        if not answer or not answer.get("ResourcePolicy"):
            return None
        return {"SecretId": physical_id, "ResourcePolicy": json.loads(answer["ResourcePolicy"])}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Replace the policy."""
        del physical_id, before
        return self.create(call, after)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Take the policy away."""
        del properties
        with absent_is_fine(*GONE):
            call.client("secretsmanager").delete_resource_policy(SecretId=physical_id)


class RotationSchedules:
    """AWS::SecretsManager::RotationSchedule, as configuration: RotateImmediatelyOnUpdate must be off."""

    type_name = "AWS::SecretsManager::RotationSchedule"
    properties = frozenset({"RotateImmediatelyOnUpdate", "RotationLambdaARN", "RotationRules", "SecretId"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Say who rotates the secret and when."""
        if properties.get("RotateImmediatelyOnUpdate", True):
            raise HandlerError(
                "RotateImmediatelyOnUpdate is not supported by the local AWS region: set it false"
            )
        given = {key: properties[key] for key in ("RotationLambdaARN", "RotationRules") if key in properties}
        call.client("secretsmanager").rotate_secret(
            SecretId=properties["SecretId"], RotateImmediately=False, **given
        )
        return _physical(properties["SecretId"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return who rotates the secret and when."""
        secret = _find(call, physical_id)
        if secret is None or not secret.get("RotationEnabled"):
            return None
        names = ("RotationLambdaARN", "RotationRules")
        return {"SecretId": physical_id, **{name: secret[name] for name in names if secret.get(name)}}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change who rotates the secret and when."""
        del physical_id, before
        return self.create(call, after)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Rotate the secret no more."""
        del properties
        with absent_is_fine(*GONE):
            if self.read(call, physical_id) is not None:
                call.client("secretsmanager").cancel_rotate_secret(SecretId=physical_id)


def _find(call: Call, physical_id: str) -> dict[str, Any] | None:
    client = call.client("secretsmanager")
    answer = unless_absent(lambda: client.describe_secret(SecretId=physical_id), *GONE)
    return None if answer is None or answer.get("DeletedDate") else dict(answer)


def _physical(secret: str) -> Physical:
    return Physical(secret, {"Id": secret})


def _value(call: Call, properties: Properties) -> dict[str, str]:
    """Return the value that the template gives, or asks to be made."""
    if "GenerateSecretString" not in properties:
        return {"SecretString": properties["SecretString"]} if "SecretString" in properties else {}
    wanted: Mapping[str, Any] = properties["GenerateSecretString"]
    around = ("GenerateStringKey", "SecretStringTemplate")
    made = call.client("secretsmanager").get_random_password(
        **{name: value for name, value in wanted.items() if name not in around}
    )["RandomPassword"]
    if "GenerateStringKey" not in wanted:
        return {"SecretString": made}
    whole = json.loads(wanted["SecretStringTemplate"]) | {wanted["GenerateStringKey"]: made}
    return {"SecretString": json.dumps(whole)}


HANDLERS = (Secrets(), ResourcePolicies(), RotationSchedules())
