# SPDX-License-Identifier: Apache-2.0
"""OpenSSH's certificates for people, signed by a key that is elsewhere.

The libraries' own builders want the authority's private key in memory; KMS never gives it out.
https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL.certkeys
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from orchestrator.domain.ssh_key import parse_public_key

SIGNATURE = "rsa-sha2-512"
_VERSION = "-cert-v01@openssh.com"
_USER = 1
_NONCE_BYTES = 32


class OpenSshCertificates:
    """Makes key pairs and certificates for them."""

    def new_key_pair(self) -> tuple[str, str]:
        """Return a new private key in OpenSSH's format and the line of its public key."""
        return new_key_pair()

    def certificate(  # noqa: PLR0913 - the fields of a certificate
        self,
        public_key: str,
        *,
        key_id: str,
        principals: Sequence[str],
        serial: int,
        valid_after: datetime,
        valid_before: datetime,
        extensions: Sequence[str],
        authority: str,
        sign: Callable[[bytes], bytes],
    ) -> str:
        """Return the line of a certificate for a public key; see `user_certificate`."""
        return user_certificate(
            public_key,
            key_id=key_id,
            principals=principals,
            serial=serial,
            valid_after=valid_after,
            valid_before=valid_before,
            extensions=extensions,
            authority=authority,
            sign=sign,
        )


def new_key_pair() -> tuple[str, str]:
    """Return a new ed25519 private key in OpenSSH's format and the line of its public key."""
    from cryptography.hazmat.primitives import serialization as s  # noqa: PLC0415 - most commands make no key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption())
    public = key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def user_certificate(  # noqa: PLR0913 - the fields of a certificate
    public_key: str,
    *,
    key_id: str,
    principals: Sequence[str],
    serial: int,
    valid_after: datetime,
    valid_before: datetime,
    extensions: Sequence[str],
    authority: str,
    sign: Callable[[bytes], bytes],
) -> str:
    """Return the line of a certificate: `ssh-ed25519-cert-v01@openssh.com AAAA...`.

    Args:
        principals: What it opens.
        valid_after: The first second, with its zone.
        valid_before: The first second that it is no longer valid in.
        extensions: What it permits: `permit-pty`.
        authority: The line of the public key that signs, of RSA.
        sign: Signs bytes: RSASSA-PKCS1-v1_5 with SHA-512.

    Raises:
        ConfigError: The public key or the authority's is none that may be used.
    """
    if not principals or not all(principals):
        raise ValueError("a certificate without principals opens every door")
    key = parse_public_key(public_key, source="public key")
    signer = parse_public_key(authority, source="the authority's key")
    name = (key.kind.removesuffix("@openssh.com") + _VERSION).encode()
    body = b"".join(
        (
            _string(name),
            _string(secrets.token_bytes(_NONCE_BYTES)),
            key.blob[4 + len(key.kind) :],  # its fields after the kind
            serial.to_bytes(8, "big"),
            _USER.to_bytes(4, "big"),
            _string(key_id.encode()),
            _string(_strings(principals)),
            int(valid_after.timestamp()).to_bytes(8, "big"),
            int(valid_before.timestamp()).to_bytes(8, "big"),
            _string(b""),  # critical options: what sshd must restrict stands in its configuration
            _string(b"".join(_string(name.encode()) + _string(b"") for name in sorted(set(extensions)))),
            _string(b""),  # reserved
            _string(signer.blob),
        )
    )
    signature = _string(SIGNATURE.encode()) + _string(sign(body))
    return f"{name.decode()} {base64.b64encode(body + _string(signature)).decode()}"


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _strings(values: Sequence[str]) -> bytes:
    return b"".join(_string(value.encode()) for value in values)
