# SPDX-License-Identifier: Apache-2.0
"""Public keys as lines: of the authority as KMS gives it, of people as they were kept, of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from operator_access.keys import Key, from_subject_public_key_info, host_keys, parse

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIi"
SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_the_authority_s_key_is_what_openssh_makes_of_it(bits: int) -> None:
    public = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert str(from_subject_public_key_info(public.public_bytes(*SPKI))) == line


def test_no_other_kind_of_key_is_an_authority() -> None:
    der = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*SPKI)
    with pytest.raises(ValueError, match="none of RSA"):
        from_subject_public_key_info(der)


def test_a_cut_off_key_is_no_authority() -> None:
    der = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_bytes(*SPKI)
    with pytest.raises(ValueError, match="cut off"):
        from_subject_public_key_info(der[:-1])


def test_a_key_loses_its_comment() -> None:
    kind, base64 = ED25519.split()
    assert parse(f"{ED25519} ada@example.com laptop\n") == Key(kind, base64)


def test_the_fingerprint_is_the_one_that_openssh_shows() -> None:
    key = parse(ED25519)
    assert key is not None
    assert key.fingerprint == "SHA256:DZyZLHYkg98LXeBMrWPb1yMuLZRau2MJhzjRAZwPAHU"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        'command="sh" ' + ED25519,
        "cert-authority " + ED25519,
        ED25519.replace("ssh-ed25519", "ssh-rsa"),
        ED25519.replace("ssh-ed25519", "ecdsa-sha2-nistp256"),
        ED25519 + "!",
        ED25519 + "\n" + ED25519,
        "ssh-ed25519 AAAA",
    ],
)
def test_what_is_no_key_comes_in_nowhere(text: str) -> None:
    assert parse(text) is None


def test_host_keys_are_published_without_comments_the_shortest_first(tmp_path: Path) -> None:
    (tmp_path / "ssh_host_rsa_key.pub").write_text("ssh-rsa BBBB root@somewhere\n")
    (tmp_path / "ssh_host_ed25519_key.pub").write_text("ssh-ed25519 AAAA root@somewhere\n")
    (tmp_path / "ssh_host_ecdsa_key.pub").write_text("ecdsa CCCC\n")
    assert host_keys(tmp_path) == "ssh-ed25519 AAAA\nssh-rsa BBBB"
