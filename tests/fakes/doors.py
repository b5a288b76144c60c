# SPDX-License-Identifier: Apache-2.0
"""The ports of doors, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from orchestrator.errors import AwsError, NotFound
from tests.fakes.basics import Recorded


@cache
def _key(name: str) -> rsa.RSAPrivateKey:
    """Return a key: as weak as sshd lets it be, because others take longer to make."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=3072)


class FakeAuthority(Recorded):
    """A key in memory, whose certificates are as good as those of KMS; another name is another key."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.exists = True
        self._name = name

    def _note(self, call: str) -> None:
        super()._note(call)
        if not self.exists:
            raise NotFound("kms", call, "NotFoundException", "Alias is not found.")

    def public_key(self) -> str:
        self._note("public_key")
        line = (
            _key(self._name)
            .public_key()
            .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        )
        return line.decode()

    def sign(self, message: bytes) -> bytes:
        self._note("sign")
        return _key(self._name).sign(message, padding.PKCS1v15(), hashes.SHA512())


class FakeAuditTrail(Recorded):
    """A log group, by stream, and a bucket, by key."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, list[Mapping[str, object]]] = {}
        self.objects: dict[str, Mapping[str, object]] = {}
        self.has_log_group = self.has_bucket = True

    @property
    def records(self) -> list[Mapping[str, object]]:
        """Return what was written, in its order."""
        return list(self.objects.values())

    def write(self, record: Mapping[str, object], *, key: str) -> None:
        self._note("write")
        errors: list[AwsError] = []
        if self.has_log_group:
            self.lines.setdefault(f"operators/{record['who']}", []).append(dict(record))
        else:
            message = "The specified log group does not exist."
            errors.append(NotFound("logs", "CreateLogStream", "ResourceNotFoundException", message))
        if self.has_bucket:
            self.objects[f"access/{key}"] = dict(record)
        else:
            message = "The specified bucket does not exist"
            errors.append(NotFound("s3", "PutObject", "NoSuchBucket", message))
        if errors:
            raise errors[0]


class FakeDatabaseLogins(Recorded):
    """Tokens that say whose they are, and secrets."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, tuple[str, str]] = {}

    def token(self, host: str, port: int, user: str) -> str:
        self._note("token")
        return f"{host}:{port}/?DBUser={user}"

    def secret(self, arn: str) -> tuple[str, str]:
        self._note("secret")
        if arn not in self.secrets:
            message = "Secrets Manager can't find the specified secret."
            raise NotFound("secretsmanager", "GetSecretValue", "ResourceNotFoundException", message)
        return self.secrets[arn]
