# SPDX-License-Identifier: Apache-2.0
"""Correct moto's Secrets Manager: what it forgets of a rotation, and what it can't take back.

A rotation is kept as configuration and nobody starts it; to rotate at once is refused, not pretended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.secretsmanager.exceptions import InvalidParameterException, SecretNotFoundException
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend

from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches

_RULES = "slipway_rotation_rules"


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(SecretsManagerBackend, "rotate_secret", _rotate)
    patches.replace(SecretsManagerBackend, "update_secret", _update(SecretsManagerBackend.update_secret))
    patches.replace(FakeSecret, "to_dict", _shown(FakeSecret.to_dict))


def _rotate(
    backend: Any,
    secret_id: str,
    client_request_token: str | None = None,
    rotation_lambda_arn: str | None = None,
    rotation_rules: Mapping[str, Any] | None = None,
    rotate_immediately: bool = True,
) -> str:
    """Keep who rotates the secret and when; moto would call the function while everybody waits."""
    del client_request_token
    if rotate_immediately:
        raise unsupported("secretsmanager.RotateSecret with RotateImmediately")
    if not backend._is_valid_identifier(secret_id):
        raise SecretNotFoundException()
    if rotation_rules and {"AutomaticallyAfterDays", "ScheduleExpression"} <= set(rotation_rules):
        raise InvalidParameterException("Give AutomaticallyAfterDays or ScheduleExpression, not both.")
    secret = backend.secrets[secret_id]
    secret.rotation_requested = True
    secret.rotation_enabled = True
    secret.rotation_lambda_arn = rotation_lambda_arn or secret.rotation_lambda_arn
    setattr(secret, _RULES, dict(rotation_rules or {}))
    answer: str = secret.to_short_dict()
    return answer


def _update(original: Callable[..., str]) -> Callable[..., str]:
    def update_secret(backend: Any, secret_id: str, *arguments: Any, **named: Any) -> str:
        """Take away the description that is put as an empty text."""
        answer = original(backend, secret_id, *arguments, **named)
        if named.get("description") == "":
            backend.secrets[secret_id].description = ""
        return answer

    return update_secret


def _shown(original: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    def to_dict(secret: Any) -> dict[str, Any]:
        """Show the rotation as it was given."""
        shown = original(secret)
        if "RotationRules" in shown:
            shown["RotationRules"] = getattr(secret, _RULES, shown["RotationRules"])
        return shown

    return to_dict
