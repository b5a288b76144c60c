# SPDX-License-Identifier: Apache-2.0
"""Let keys of moto's KMS say what they are for, and do nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from moto.kms.models import Key
from moto.kms.responses import KmsResponse

from sandbox.api.errors import AwsError, unsupported
from sandbox.api.patches import Patches

ENCRYPTS, SIGNS, SYMMETRIC = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "SYMMETRIC_DEFAULT"
# Of a message that is not a digest: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
_LONGEST_MESSAGE = 4096


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(Key, "__init__", _with_defaults(Key.__init__))
    patches.replace(KmsResponse, "enable_key_rotation", _if_symmetric(KmsResponse.enable_key_rotation))
    patches.replace(KmsResponse, "get_public_key", _get_public_key)
    patches.replace(KmsResponse, "sign", _sign)


def _with_defaults(original: Callable[..., None]) -> Callable[..., None]:
    def initialise(key: Any, policy: Any, key_usage: Any, key_spec: Any, *rest: Any, **options: Any) -> None:
        spec = key_spec or SYMMETRIC
        if not key_usage and spec != SYMMETRIC:
            raise AwsError("ValidationException", "You must specify a KeyUsage value for an asymmetric key.")
        if spec == SYMMETRIC and key_usage not in (None, ENCRYPTS):
            raise AwsError(
                "ValidationException", f"KeyUsage {key_usage} is not compatible with KeySpec {spec}"
            )
        original(key, policy, key_usage or ENCRYPTS, key_spec, *rest, **options)
        key.multi_region = bool(key.multi_region)

    return initialise


def _if_symmetric(original: Callable[..., str]) -> Callable[..., str]:
    def enable_key_rotation(response: Any) -> str:
        """Switch rotation on: KMS makes no new material for asymmetric keys."""
        key = _key(response)
        if key.key_spec != SYMMETRIC:
            raise AwsError("UnsupportedOperationException", f"{key.arn} is of the spec {key.key_spec}.")
        return original(response)

    return enable_key_rotation


def _get_public_key(response: Any) -> str:
    key = _usable(response)
    if key.key_spec == SYMMETRIC:
        raise AwsError("UnsupportedOperationException", f"{key.arn} has no public key.")
    return json.dumps(
        {
            "KeyId": key.arn,
            "PublicKey": base64.b64encode(key.private_key.public_key()).decode(),
            "CustomerMasterKeySpec": key.key_spec,
            "KeySpec": key.key_spec,
            "KeyUsage": key.key_usage,
            **(
                {"SigningAlgorithms": key.signing_algorithms}
                if key.key_usage == SIGNS
                else {"EncryptionAlgorithms": key.encryption_algorithms}
            ),
        }
    )


def _sign(response: Any) -> str:
    if response._get_param("MessageType") not in (None, "RAW"):
        raise unsupported("kms.Sign of anything but a RAW message")
    key = _usable(response)
    algorithm = response._get_param("SigningAlgorithm")
    if key.key_usage != SIGNS:
        message = f"{key.arn} key usage is {key.key_usage} which is not valid for Sign."
        raise AwsError("InvalidKeyUsageException", message)
    if algorithm not in key.signing_algorithms:
        message = f"Algorithm {algorithm} is incompatible with key spec {key.key_spec}."
        raise AwsError("InvalidKeyUsageException", message)
    given = response._get_param("Message")
    if not 1 <= len(given) <= _LONGEST_MESSAGE:
        raise AwsError("ValidationException", f"Message must have 1 to {_LONGEST_MESSAGE} bytes")
    signature = base64.b64encode(key.private_key.sign(given, algorithm)).decode()
    return json.dumps({"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm})


def _usable(response: Any) -> Any:
    key = _key(response)
    if key.key_state == "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if not key.enabled:
        raise AwsError("DisabledException", f"{key.arn} is disabled.")
    return key


def _key(response: Any) -> Any:
    """Return the key that a call names by id, ARN or alias; moto says of another that it is not there."""
    key_id = response._get_param("KeyId")
    response._validate_key_id(key_id)
    return response.kms_backend.describe_key(key_id)
