# SPDX-License-Identifier: Apache-2.0
"""Key pairs that live as long as one run."""

from __future__ import annotations

import os
from pathlib import Path


class Ed25519KeyMaker:
    """Makes ed25519 key pairs."""

    def make(self, folder: Path, name: str) -> tuple[Path, str]:
        """Write an ed25519 private key (0600) into the folder; return its path and the public key's line."""
        from cryptography.hazmat.primitives import serialization as s  # noqa: PLC0415 - most commands make no key
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption())
        public = key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH)
        path = folder / name
        _write_private(path, private)
        return path, f"{public.decode()} {name}"


def _write_private(path: Path, body: bytes) -> None:
    """Write a new file that only its owner has ever been able to read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
