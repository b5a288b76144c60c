# SPDX-License-Identifier: Apache-2.0
"""The key in KMS that signs an environment's certificates."""

from __future__ import annotations

from typing import Any

from orchestrator.aws.session import AwsSession, translated
from orchestrator.domain.door import authority_alias

# Of what `rsa-sha2-512` is in SSH: the signature goes into certificates as KMS gives it.
# https://www.rfc-editor.org/rfc/rfc8332#section-3
_ALGORITHM = "RSASSA_PKCS1_V1_5_SHA_512"


class KmsAuthority:
    """An environment's authority, known by its alias."""

    def __init__(self, session: AwsSession, environment: str) -> None:
        self._session = session
        self._alias = authority_alias(environment)

    @property
    def _kms(self) -> Any:
        return self._session.client("kms")

    def public_key(self) -> str:
        """Return it as a line of OpenSSH: `ssh-rsa AAAA...`."""
        from cryptography.hazmat.primitives import serialization as s  # noqa: PLC0415 - few commands need it

        key: Any = s.load_der_public_key(self._public_key())
        line: bytes = key.public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH)
        return line.decode()

    @translated
    def _public_key(self) -> bytes:
        der: bytes = self._kms.get_public_key(KeyId=self._alias)["PublicKey"]
        return der

    @translated
    def sign(self, message: bytes) -> bytes:
        """Return the signature over a message: RSASSA-PKCS1-v1_5 with SHA-512."""
        answer = self._kms.sign(
            KeyId=self._alias, Message=message, MessageType="RAW", SigningAlgorithm=_ALGORITHM
        )
        signature: bytes = answer["Signature"]
        return signature
