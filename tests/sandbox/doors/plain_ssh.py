# SPDX-License-Identifier: Apache-2.0
"""OpenSSH as anybody has it, without a configuration: a key, a certificate, and the region's host keys."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from orchestrator.ssh.certificates import user_certificate
from tests.sandbox.environments.demo import Demo

AUTHORITY = "alias/slipway-sandbox-ssh"
# Machines ask once a minute; asking and acting takes them a while.
WITHIN_S = 75.0
# How far ssh-keygen moves in what stands below a heading.
_DEEPER = 16 * " "


@dataclass(frozen=True)
class Person:
    """Somebody with a key of his own, who logs in by plain ssh."""

    demo: Demo
    folder: Path
    name: str
    certificate: Path | None = None

    @classmethod
    def new(cls, demo: Demo, folder: Path, name: str) -> Person:
        """Have a new person with a new key."""
        path = folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return cls(demo, folder, name)

    @property
    def key(self) -> Path:
        """Return the private key."""
        return self.folder / self.name

    @property
    def public(self) -> Path:
        """Return the public key."""
        return self.folder / f"{self.name}.pub"

    def certified(self, path: Path) -> Person:
        """Return the same person with a certificate."""
        return replace(self, certificate=path)

    def with_certificate(self, *principals: str, who: str, valid_for: timedelta) -> Person:
        """Return the same person with a certificate that KMS signed for anything that is wanted."""
        kms, now = self.demo.client("kms"), datetime.now(UTC)
        der = load_der_public_key(kms.get_public_key(KeyId=AUTHORITY)["PublicKey"])
        line = der.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)

        def sign(message: bytes) -> bytes:
            answer = kms.sign(
                KeyId=AUTHORITY,
                Message=message,
                MessageType="RAW",
                SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_512",
            )
            return bytes(answer["Signature"])

        text = user_certificate(
            self.public.read_text("utf-8"),
            key_id=f"{who}/shell/test",
            principals=principals,
            serial=time.time_ns(),
            valid_after=now - timedelta(minutes=10),
            valid_before=now + valid_for,
            extensions=("permit-agent-forwarding", "permit-port-forwarding", "permit-pty"),
            authority=line.decode(),
            sign=sign,
        )
        path = self.folder / f"{self.name}-{time.time_ns()}-cert.pub"
        path.write_text(text + "\n", "utf-8")
        return self.certified(path)

    def argv(
        self, fleet: str, command: str, *, user: str = "admin", options: Sequence[str] = ()
    ) -> list[str]:
        """Return the command of a shell on a fleet's first machine, through the bastion."""
        bastion = self.demo.machines("sandbox", "bastion")[0]
        if fleet == "bastion":
            there = f"{user}@{bastion['PublicIpAddress']}"
            return [*self._ssh("bastion", bastion["InstanceId"]), *options, there, command]
        machine = self.demo.machines("sandbox", fleet)[0]
        through = [
            *self._ssh("bastion", bastion["InstanceId"]),
            "-W",
            "[%h]:%p",
            f"admin@{bastion['PublicIpAddress']}",
        ]
        proxy = shlex.join(through).replace("'[%h]:%p'", "[%h]:%p")
        return [
            *self._ssh(fleet, machine["InstanceId"]),
            "-o",
            f"ProxyCommand={proxy}",
            *options,
            f"{user}@{machine['PrivateIpAddress']}",
            command,
        ]

    def run(
        self, fleet: str, command: str, *, user: str = "admin", options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a fleet's first machine, through the bastion."""
        argv = self.argv(fleet, command, user=user, options=options)
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    @contextmanager
    def session(self, fleet: str) -> Iterator[subprocess.Popen[str]]:
        """Give a session on a fleet's first machine that lasts, once it has begun."""
        argv = self.argv(fleet, "echo begun; sleep 600")
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout
            try:
                assert process.stdout.readline() == "begun\n"
                yield process
            finally:
                process.terminate()

    def is_let_in(self, fleet: str = "api") -> bool:
        """Tell whether a machine lets the person in, and stay; what else fails is an error."""
        done = self.run(fleet, "echo in")
        if done.returncode == 0:
            return True
        assert "Permission denied" in done.stderr or "closed by remote host" in done.stderr, done
        return False

    def _ssh(self, fleet: str, instance_id: str) -> list[str]:
        known = self.folder / f"known-{instance_id}"
        name = f"/slipway/sandbox/host-keys/{fleet}/{instance_id}"
        value = self.demo.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        known.write_text("".join(f"{instance_id} {line}\n" for line in value.splitlines()), "utf-8")
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "20",
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": instance_id,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": str(self.key),
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(known),
        }
        if self.certificate:
            options["CertificateFile"] = str(self.certificate)
        return [
            "ssh",
            "-F",
            "none",
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        ]


def until(is_so: Callable[[], bool], *, what: str, within_s: float = WITHIN_S) -> None:
    """Wait until something is so."""
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(2)


def certificate_of(path: Path) -> dict[str, list[str]]:
    """Return what ssh-keygen says of a certificate, by its headings."""
    done = subprocess.run(["ssh-keygen", "-L", "-f", path], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines()[1:]:
        if line.startswith(_DEEPER):
            found[next(reversed(found))].append(line.strip())
        else:
            name, _, value = line.strip().partition(":")
            found[name] = [value.strip()] if value.strip() else []
    return found
