# SPDX-License-Identifier: Apache-2.0
"""What is taken as somebody's public key, and what is not."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.ssh_key import parse_public_key
from orchestrator.errors import ConfigError


def blob(kind: str, *fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in (kind.encode(), *fields))


def line(kind: str, *fields: bytes, name: str = "") -> str:
    return f"{name or kind} {base64.b64encode(blob(kind, *fields)).decode()}"


def modulus(bits: int) -> bytes:
    return b"\0" + (2 ** (bits - 1) + 1).to_bytes(bits // 8, "big")


ED25519 = line("ssh-ed25519", bytes(32))
TOKEN = "sk-ssh-ed25519@openssh.com"


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parse_public_key(text, source="ann.pub")
    assert refused.value.next_command == (
        "choose the file that ends in .pub, or make a key: ssh-keygen -t ed25519"
    )
    return refused.value.problems[0]


@pytest.mark.parametrize(
    ("key", "description"),
    [
        (ED25519, "ed25519"),
        (line("ssh-rsa", b"\1\0\1", modulus(3072)), "rsa 3072"),
        (line("ssh-rsa", b"\1\0\1", modulus(16384)), "rsa 16384"),
        (line(TOKEN, bytes(32), b"ssh:"), "ed25519 on a token"),
    ],
)
def test_keys_of_these_types_are_taken(key: str, description: str) -> None:
    taken = parse_public_key(f"\n{key} ann@laptop\r\n\n", source="ann.pub")
    assert (taken.description, taken.comment, str(taken)) == (description, "ann@laptop", f"{key} ann@laptop")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no key in it"),
        (" \n\n", "there is no key in it"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n-----END OPENSSH PRIVATE KEY-----\n",
            "that is a private key, which must never leave its owner's machine",
        ),
        (
            "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
            "that is a private key, which must never leave its owner's machine",
        ),
        (
            "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n",
            "the key is not in OpenSSH's format; ssh-keygen -i -f FILE turns it into that",
        ),
        (f"{ED25519} ann\n{ED25519} ben\n", "one key in one line is needed, there are 2 lines"),
        (
            f'command="/bin/sh" {ED25519}',
            "options before the key are not taken: machines set their own",
        ),
        (line("ssh-dss", b"1", b"2", b"3", b"4"), "DSA keys are too weak, machines take none"),
        (
            line("ssh-ed25519-cert-v01@openssh.com", bytes(32)),
            "that is a certificate; the key that it is for is needed",
        ),
        (
            "hello world",
            "the line must begin with a type of key, one of ssh-ed25519, sk-ssh-ed25519@openssh.com, ssh-rsa",
        ),
        ("ssh-ed25519", "the key ends after its type"),
        ("ssh-ed25519 AAAA!", "the key is broken: its base64 can't be read"),
        ("ssh-ed25519 ÄÖÜ=", "the key is broken: its base64 can't be read"),
        ("ssh-ed25519 AAAA", "the key is broken: it is cut off"),
        (ED25519[:-9], "the key is broken: its base64 can't be read"),
        (ED25519[:-8], "the key is broken: it is cut off"),
        (line("ssh-ed25519", bytes(31)), "the key is broken: it has not the length of its type"),
        (
            line("ssh-ed25519", bytes(32), b"more"),
            "the key is broken: it has not the fields of its type",
        ),
        (
            line("ssh-rsa", b"\1\0\1", modulus(3072), name="ssh-ed25519"),
            "the key is of another type than its line says",
        ),
        (
            line("ssh-rsa", b"\1\0\1", modulus(2048)),
            "RSA keys must have 3072 to 16384 bits, this has 2048",
        ),
        (
            line("ssh-rsa", b"\1\0\1", modulus(16392)),
            "RSA keys must have 3072 to 16384 bits, this has 16392",
        ),
        (line("ssh-rsa", b"\1", modulus(3072)), "the key is broken: its numbers are none of RSA"),
        (
            line("ssh-rsa", b"\1\0\1", modulus(3072)[1:]),
            "the key is broken: its numbers are none of RSA",
        ),
        (
            line("ecdsa-sha2-nistp256", b"nistp256", b"\x04" + bytes(64)),
            "machines take no ECDSA keys, only ed25519 and RSA",
        ),
        (
            line("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", b"\x04" + bytes(64), b"ssh:"),
            "machines take no ECDSA keys, only ed25519 and RSA",
        ),
        (
            line(TOKEN, bytes(32), b"webauthn"),
            "the security token's key was not made for ssh",
        ),
    ],
)
def test_what_is_no_key_that_may_open_doors_is_refused(text: str, problem: str) -> None:
    assert refusal(text) == f"ann.pub: {problem}"


@pytest.mark.parametrize(
    ("comment", "kept"),
    [
        ("", ""),
        ("ann laptop 2026", "ann laptop 2026"),
        ("ann\x1b[31m{{ssm:secret}}\tö", "ann 31m ssm:secret"),
        ("x" * 63 + " and more", "x" * 63),
    ],
)
def test_comments_are_cut_and_cleaned(comment: str, kept: str) -> None:
    taken = parse_public_key(f"{ED25519} {comment}", source="ann.pub")
    assert taken.comment == kept
    assert parse_public_key(str(taken), source="ann.pub") == taken


def test_fingerprint_is_the_one_that_openssh_shows(tmp_path: Path) -> None:
    path = tmp_path / "ann.pub"
    path.write_text(ED25519 + "\n", "utf-8")
    done = subprocess.run(  # noqa: S603
        ["ssh-keygen", "-l", "-f", str(path)],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    assert parse_public_key(ED25519, source="ann.pub").fingerprint == done.stdout.split()[1]


@given(st.text() | st.binary().map(lambda data: "ssh-rsa " + base64.b64encode(data).decode()))
def test_any_other_text_is_refused_with_a_message(text: str) -> None:
    assert refusal(text).startswith("ann.pub: ")
