# SPDX-License-Identifier: Apache-2.0
"""Dynamic references to the parameter store and to secrets.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
They are looked up when their resource is made or changed, and at no other time: a parameter that has a new
value is no change of a stack. The values of secrets are not kept anywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from sandbox.cloudformation.intrinsics import Unresolvable

REFERENCE = re.compile(r"\{\{resolve:([a-z-]+):([^{}]+)\}\}")
SECRET_SERVICE = "secretsmanager"  # noqa: S105 - the name of a service
_ARN_PARTS = 7
_SECRET_PARTS = 4


class Dynamic:
    """Looks references up, each once."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._client = client
        self._seen: dict[tuple[str, str], str] = {}

    def resolve(self, value: Any, *, with_secrets: bool) -> Any:
        """Return `value` with references replaced; those to secrets stay as they are unless `with_secrets`.

        Raises:
            Unresolvable: naming what is not there.
        """
        if isinstance(value, dict):
            return {name: self.resolve(item, with_secrets=with_secrets) for name, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, with_secrets=with_secrets) for item in value]
        if not isinstance(value, str) or "{{resolve:" not in value:
            return value
        return REFERENCE.sub(lambda match: self._look_up(match, with_secrets=with_secrets), value)

    def _look_up(self, match: re.Match[str], *, with_secrets: bool) -> str:
        service, name = match.groups()
        if service == SECRET_SERVICE and not with_secrets:
            return match.group(0)
        if (service, name) not in self._seen:
            self._seen[service, name] = self._fetch(service, name)
        return self._seen[service, name]

    def _fetch(self, service: str, name: str) -> str:
        if service == "ssm":
            return self.parameter(name)
        if service == SECRET_SERVICE:
            return self._secret(name)
        raise Unresolvable(f"{{{{resolve:{service}:..}}}} is not supported by the local AWS region.")

    def parameter(self, name: str) -> str:
        """Return the value of a parameter of the parameter store, `name` or `name:version`."""
        try:
            found = self._client("ssm").get_parameter(Name=name)["Parameter"]
        except ClientError as error:
            raise Unresolvable(
                f"Unable to fetch parameters [{name}] from parameter store for this account."
            ) from error
        if found["Type"] == "SecureString":
            raise Unresolvable(f"Parameter {name} is a SecureString, which {{{{resolve:ssm}}}} can't read.")
        return str(found["Value"])

    def _secret(self, reference: str) -> str:
        secret_id, parts = _split_secret(reference)
        kind, key, stage, version = (parts + [""] * _SECRET_PARTS)[:_SECRET_PARTS]
        if kind not in ("", "SecretString"):
            raise Unresolvable(f"Could not read {kind} of secret {secret_id}: only SecretString can be read.")
        which = {"VersionStage": stage} if stage else {}
        which |= {"VersionId": version} if version else {}
        try:
            text: str = self._client(SECRET_SERVICE).get_secret_value(SecretId=secret_id, **which)[
                "SecretString"
            ]
        except ClientError as error:
            raise Unresolvable(f"Secrets Manager can't find the specified secret {secret_id}.") from error
        if not key:
            return text
        try:
            return str(json.loads(text)[key])
        except (ValueError, KeyError, TypeError) as error:
            raise Unresolvable(
                f"Could not find a value associated with JSONKey in SecretString of {secret_id}"
            ) from error


def _split_secret(reference: str) -> tuple[str, list[str]]:
    parts = reference.split(":")
    if parts[0] == "arn":
        return ":".join(parts[:_ARN_PARTS]), parts[_ARN_PARTS:]
    return parts[0], parts[1:]
