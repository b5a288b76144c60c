# SPDX-License-Identifier: Apache-2.0
"""Keys of KMS that sign: whoever has the public half can check what they signed, and roles need a right."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.region.conftest import LocalRegion

ALIAS, ALGORITHM = "alias/signs", "RSASSA_PKCS1_V1_5_SHA_512"
MESSAGE = b"\x00 a certificate \xff" * 40
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@pytest.fixture(name="key_arn")
def fixture_key_arn(local: LocalRegion) -> str:
    kms = local.client("kms")
    key = kms.create_key(KeySpec="RSA_4096", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    kms.create_alias(AliasName=ALIAS, TargetKeyId=key["KeyId"])
    return str(key["Arn"])


def refusal(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return str(refused.value.response["Error"]["Code"])


def test_a_signature_is_the_one_of_the_public_key(local: LocalRegion, key_arn: str) -> None:
    kms = local.client("kms")
    told = kms.get_public_key(KeyId=ALIAS)
    public = serialization.load_der_public_key(told["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    assert (told["KeyId"], told["KeySpec"], told["KeyUsage"], public.key_size) == (
        key_arn,
        "RSA_4096",
        "SIGN_VERIFY",
        4096,
    )
    assert ALGORITHM in told["SigningAlgorithms"]
    signed = kms.sign(KeyId=ALIAS, Message=MESSAGE, MessageType="RAW", SigningAlgorithm=ALGORITHM)
    assert (signed["KeyId"], signed["SigningAlgorithm"]) == (key_arn, ALGORITHM)
    public.verify(signed["Signature"], MESSAGE, padding.PKCS1v15(), hashes.SHA512())


def test_a_key_that_signs_has_no_rotation(local: LocalRegion, key_arn: str) -> None:
    kms = local.client("kms")
    assert refusal(kms.enable_key_rotation, KeyId=key_arn) == "UnsupportedOperationException"
    assert kms.get_key_rotation_status(KeyId=key_arn)["KeyRotationEnabled"] is False


def test_what_a_key_is_not_for_is_refused(local: LocalRegion, key_arn: str) -> None:
    kms = local.client("kms")
    data = kms.create_key()["KeyMetadata"]["KeyId"]
    signing = {"Message": MESSAGE, "SigningAlgorithm": ALGORITHM}
    assert refusal(kms.sign, KeyId=data, **signing) == "InvalidKeyUsageException"
    assert refusal(kms.get_public_key, KeyId=data) == "UnsupportedOperationException"
    of_another_kind = {"Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_512"}
    assert refusal(kms.sign, KeyId=key_arn, **of_another_kind) == "InvalidKeyUsageException"
    too_long = {"Message": b"x" * 4097, "SigningAlgorithm": ALGORITHM}
    assert refusal(kms.sign, KeyId=key_arn, **too_long) in ("ValidationException", "ParamValidation")
    assert refusal(kms.sign, KeyId="alias/other", **signing) == "NotFoundException"
    assert refusal(kms.create_key, KeySpec="RSA_4096") == "ValidationException"
    assert refusal(kms.create_key, KeyUsage="SIGN_VERIFY") == "ValidationException"


def test_a_key_that_is_off_or_goes_signs_nothing(local: LocalRegion, key_arn: str) -> None:
    kms = local.client("kms")
    signing = {"KeyId": ALIAS, "Message": MESSAGE, "SigningAlgorithm": ALGORITHM}
    key_id = key_arn.rpartition("/")[2]
    kms.disable_key(KeyId=key_id)
    assert refusal(kms.sign, **signing) == "DisabledException"
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    assert refusal(kms.sign, **signing) == "KMSInvalidStateException"


@pytest.mark.parametrize("key_id", ["alias", "id", "arn"])
def test_a_role_uses_a_key_by_any_name_if_it_is_allowed_the_key(
    local: LocalRegion, key_arn: str, key_id: str
) -> None:
    kms = local.client("kms", **credentials(local, "kms:GetPublicKey", key_arn))
    name = {"alias": ALIAS, "id": key_arn.rpartition("/")[2], "arn": key_arn}[key_id]
    assert kms.get_public_key(KeyId=name)["KeyId"] == key_arn
    signing = {"KeyId": name, "Message": MESSAGE, "SigningAlgorithm": ALGORITHM}
    assert refusal(kms.sign, **signing) == "AccessDeniedException"


def test_a_right_to_an_alias_is_none_to_its_key(local: LocalRegion, key_arn: str) -> None:
    alias_arn = f"{key_arn.partition(':key/')[0]}:{ALIAS}"
    kms = local.client("kms", **credentials(local, "kms:GetPublicKey", alias_arn))
    assert refusal(kms.get_public_key, KeyId=ALIAS) == "AccessDeniedException"


def credentials(local: LocalRegion, action: str, resource: str) -> dict[str, str]:
    """Return credentials of a role that may do one thing."""
    iam = local.client("iam")
    arn = iam.create_role(RoleName="one", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_role_policy(RoleName="one", PolicyName="one", PolicyDocument=json.dumps(policy))
    given = local.client("sts").assume_role(RoleArn=arn, RoleSessionName="i-1")["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
