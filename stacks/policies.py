# SPDX-License-Identifier: Apache-2.0
"""What policies of an environment are made of: names of its resources, and statements about keys.

Everything here is pure. Names that the configuration fixes are written out, so that a policy can be read and
judged without AWS; ids that only AWS knows come as references.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stacks.policy import Statement, allow, of_account
from stacks.stack import bucket_name

if TYPE_CHECKING:
    from orchestrator.config.models import Environment

# Where the logs bucket has the records of who went through which door, of machines and of operators: they are
# told apart by the name after the day, so neither can write over what the other told.
ACCESS_RECORDS, MACHINES_RECORDS, OPERATORS_RECORDS = "access/*", "access/*/i-*", "access/*/operators-*"


def arn(environment: Environment, service: str, resource: str) -> str:
    """Return the ARN of something in the environment's account and region."""
    return f"arn:aws:{service}:{environment.region}:{environment.account_id}:{resource}"


def bucket_arn(bucket: str, keys: str = "") -> str:
    """Return the ARN of a bucket, or of objects in it."""
    return f"arn:aws:s3:::{bucket}/{keys}" if keys else f"arn:aws:s3:::{bucket}"


def asset_bucket(environment: Environment, asset_class: str) -> str:
    """Return the name of the environment's bucket of an asset class."""
    return bucket_name(environment.name, asset_class, environment.account_id)


def asset_arn(environment: Environment, asset_class: str, keys: str = "") -> str:
    """Return the ARN of the environment's bucket of an asset class, or of objects in it."""
    return bucket_arn(asset_bucket(environment, asset_class), keys)


def parameter_arn(environment: Environment, path: str) -> str:
    """Return the ARN of parameters below `/slipway/<environment>/`."""
    return arn(environment, "ssm", f"parameter/slipway/{environment.name}/{path}")


def log_group_arn(environment: Environment, group: str, streams: str = "*") -> str:
    """Return the ARN of a log group with its streams, or of streams alone: `log-stream:one/*`."""
    return arn(environment, "logs", f"log-group:{group}:{streams}")


def role_path(environment: Environment) -> str:
    """Return the path of the environment's roles, by which policies tell them from other environments'."""
    return f"/slipway/{environment.name}/"


def allow_everywhere(actions: Sequence[str], *, condition: Mapping[str, Any] | None = None) -> Statement:
    """Allow actions for which AWS knows no resource, so that a policy can name `*` only: mostly reads.

    https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
    """
    return allow(actions, ["*"], condition=condition)


def use_key(key_arn: Any, environment: Environment, services: Sequence[str]) -> Statement:
    """Allow the use of a key by way of these services only, never on its own.

    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    """
    through = [f"{service}.{environment.region}.amazonaws.com" for service in services]
    return allow(
        ["kms:Decrypt", "kms:GenerateDataKey"],
        [key_arn],
        condition={"StringEquals": {"kms:ViaService": through}},
    )


def use_key_for_parameters(
    key_arn: Any, environment: Environment, paths: Sequence[str], *, actions: Sequence[str] = ("kms:Decrypt",)
) -> Statement:
    """Allow the use of a key for the secure strings at these paths: environments may share the key.

    https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
    """
    return allow(
        actions,
        [key_arn],
        condition={
            "StringEquals": {"kms:ViaService": f"ssm.{environment.region}.amazonaws.com"},
            "StringLike": {
                "kms:EncryptionContext:PARAMETER_ARN": [parameter_arn(environment, path) for path in paths]
            },
        },
    )


def on_behalf_of(environment: Environment, source: str) -> dict[str, Any]:
    """Return the condition that a service acts for this resource of the account and no other."""
    return of_account(environment.account_id, ArnLike={"aws:SourceArn": source})
