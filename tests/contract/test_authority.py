# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Authority."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from orchestrator.aws.authority import KmsAuthority
from orchestrator.errors import NotFound
from orchestrator.ports import Authority
from tests.contract.conftest import Aws
from tests.fakes import FakeAuthority

MESSAGE = b"\x00\x00\x00 what a certificate says \xff" * 60


@pytest.fixture(params=["fake", "kms"])
def authority(request: pytest.FixtureRequest) -> Authority:
    if request.param == "fake":
        return FakeAuthority()
    aws: Aws = request.getfixturevalue("aws")
    kms = aws.session.client("kms")
    for environment in ("test", "dev"):  # the other one's key is not ours
        key = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        kms.create_alias(AliasName=f"alias/slipway-{environment}-ssh", TargetKeyId=key["KeyId"])
    return KmsAuthority(aws.session, "dev")


@pytest.fixture(params=["fake", "kms"])
def no_authority(request: pytest.FixtureRequest) -> Authority:
    if request.param == "kms":
        return KmsAuthority(request.getfixturevalue("aws").session, "dev")
    fake = FakeAuthority()
    fake.exists = False
    return fake


def test_what_it_signs_can_be_checked_with_its_public_key(authority: Authority) -> None:
    line = authority.public_key()
    assert (line[:8], len(line.split())) == ("ssh-rsa ", 2)
    public = load_ssh_public_key(line.encode())
    assert isinstance(public, rsa.RSAPublicKey)
    signature = authority.sign(MESSAGE)
    public.verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA512())
    with pytest.raises(InvalidSignature):
        public.verify(signature, MESSAGE[:-1], padding.PKCS1v15(), hashes.SHA512())


def test_the_key_stays_the_same(authority: Authority) -> None:
    assert authority.public_key() == authority.public_key()


def test_an_environment_without_one_is_told(no_authority: Authority) -> None:
    with pytest.raises(NotFound, match="kms"):
        no_authority.public_key()
    with pytest.raises(NotFound, match="kms"):
        no_authority.sign(MESSAGE)
