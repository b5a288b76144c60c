# SPDX-License-Identifier: Apache-2.0
"""Certificates for people, as OpenSSH's own tool reads them and as servers take or refuse them."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from orchestrator.errors import ConfigError
from orchestrator.ssh.certificates import OpenSshCertificates, new_key_pair, user_certificate

AFTER = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
BEFORE = AFTER + timedelta(minutes=5)
SERIAL = 2**64 - 7
PRINCIPALS = ("sandbox/bastion/jump", "sandbox/api/shell")
AUTHORITY = rsa.generate_private_key(65537, 3072)


def public_line(key: Any) -> str:
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def sign(message: bytes) -> bytes:
    return AUTHORITY.sign(message, padding.PKCS1v15(), hashes.SHA512())


def certify(public_key: str, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "key_id": "ann/shell/ssh-1",
        "principals": PRINCIPALS,
        "serial": SERIAL,
        "valid_after": AFTER,
        "valid_before": BEFORE,
        "extensions": ("permit-pty", "permit-port-forwarding"),
        "authority": public_line(AUTHORITY.public_key()),
        "sign": sign,
    }
    return user_certificate(public_key, **(fields | changes))


def token_key(kind: str, *fields: bytes) -> str:
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(blob).decode()}"


def point() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


KEYS: dict[str, Callable[[], str]] = {
    "ssh-ed25519": lambda: new_key_pair()[1],
    "ssh-rsa": lambda: public_line(rsa.generate_private_key(65537, 3072).public_key()),
    "sk-ssh-ed25519": lambda: token_key("sk-ssh-ed25519@openssh.com", point(), b"ssh:"),
}


def shown(path: Path, line: str) -> list[str]:
    """Return what ssh-keygen reads in a certificate, without the key's and the authority's fingerprints."""
    path.write_text(line + "\n", "utf-8")
    done = subprocess.run(  # noqa: S603
        ["ssh-keygen", "-L", "-f", str(path)],  # noqa: S607
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.strip() for line in done.stdout.splitlines()[1:]]
    return [line for line in lines if not line.startswith("Public key:")]


@pytest.mark.parametrize("kind", KEYS)
def test_openssh_reads_what_the_certificate_says(kind: str, tmp_path: Path) -> None:
    authority = fingerprint_of(public_line(AUTHORITY.public_key()), tmp_path)
    assert shown(tmp_path / "key-cert.pub", certify(KEYS[kind]())) == [
        f"Type: {kind}-cert-v01@openssh.com user certificate",
        f"Signing CA: RSA {authority} (using rsa-sha2-512)",
        'Key ID: "ann/shell/ssh-1"',
        f"Serial: {SERIAL}",
        "Valid: from 2026-01-01T12:00:30 to 2026-01-01T12:05:30",
        "Principals:",
        *PRINCIPALS,
        "Critical Options: (none)",
        "Extensions:",
        "permit-port-forwarding",
        "permit-pty",
    ]


def fingerprint_of(line: str, folder: Path) -> str:
    (folder / "authority.pub").write_text(line + "\n", "utf-8")
    done = subprocess.run(  # noqa: S603
        ["ssh-keygen", "-l", "-f", str(folder / "authority.pub")],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[1]


@pytest.mark.parametrize("kind", [kind for kind in KEYS if not kind.startswith("sk-")])
def test_signature_is_the_authoritys_and_key_is_the_one_given(kind: str) -> None:
    public_key = KEYS[kind]()
    certificate = load_ssh_public_identity(certify(public_key).encode())
    assert isinstance(certificate, SSHCertificate)
    certificate.verify_cert_signature()
    assert public_line(certificate.public_key()) == public_key
    assert public_line(certificate.signature_key()) == public_line(AUTHORITY.public_key())


def test_extensions_are_sorted_and_named_once() -> None:
    line = certify(new_key_pair()[1], extensions=("permit-pty", "permit-port-forwarding", "permit-pty"))
    certificate = load_ssh_public_identity(line.encode())
    assert isinstance(certificate, SSHCertificate)
    assert list(certificate.extensions.items()) == [(b"permit-port-forwarding", b""), (b"permit-pty", b"")]


def test_same_certificate_twice_has_another_nonce() -> None:
    public_key = new_key_pair()[1]
    assert certify(public_key) != certify(public_key)


@pytest.mark.parametrize("principals", [(), ("",), ("sandbox/api/shell", "")])
def test_certificate_for_every_door_is_never_made(principals: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="opens every door"):
        certify(new_key_pair()[1], principals=principals)


def test_weak_key_is_never_certified() -> None:
    with pytest.raises(ConfigError) as refusal:
        certify(public_line(rsa.generate_private_key(65537, 2048).public_key()))
    assert refusal.value.problems == ("public key: RSA keys must have 3072 to 16384 bits, this has 2048",)


async def answer(login: tuple[str, str]) -> str:
    """Return what a server says that trusts the authority to open `sandbox/api/shell`."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    anchor = f'cert-authority,principals="sandbox/api/shell" {public_line(AUTHORITY.public_key())}\n'

    async def greet(process: Any) -> None:
        process.stdout.write("welcome")
        process.exit(0)

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=asyncssh.import_authorized_keys(anchor),
        process_factory=greet,
    )
    async with server:
        key, certificate = login
        pair = (asyncssh.import_private_key(key), asyncssh.import_certificate(certificate))
        client = asyncssh.connect(
            "127.0.0.1",
            server.get_port(),
            username="admin",
            client_keys=[pair],
            known_hosts=([host_key.convert_to_public()], [], []),
            config=[],
            agent_path=None,
        )
        async with client as connection:
            return str((await connection.run("true")).stdout)


def login(**changes: Any) -> tuple[str, str]:
    now = datetime.now(UTC)
    private, public = OpenSshCertificates().new_key_pair()
    times = {"valid_after": now - timedelta(minutes=1), "valid_before": now + timedelta(minutes=5)}
    return private, certify(public, **(times | changes))


def test_server_lets_in_whom_the_authority_vouches_for() -> None:
    assert asyncio.run(answer(login())) == "welcome"


def forged(_message: bytes) -> bytes:
    return sign(b"another message")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"principals": ("sandbox/bastion/jump",)}, id="of another door"),
        pytest.param({"valid_before": datetime.now(UTC) - timedelta(seconds=5)}, id="expired"),
        pytest.param({"valid_after": datetime.now(UTC) + timedelta(minutes=4)}, id="not valid yet"),
    ],
)
def test_server_refuses_certificates(changes: dict[str, Any]) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        asyncio.run(answer(login(**changes)))


def test_forged_signature_is_found() -> None:
    with pytest.raises(asyncssh.KeyImportError):
        asyncio.run(answer(login(sign=forged)))
