# SPDX-License-Identifier: Apache-2.0
"""What keeps an image from being published, from the report of a probe; and host keys from a console."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.boot_test import (
    BootReport,
    CheckResult,
    FailedUnit,
    Finding,
    FindingKind,
    Leftover,
    judge,
    parse_report,
)
from orchestrator.domain.host_keys import host_keys_in_console
from orchestrator.domain.manifest import Contents, FileFact
from orchestrator.errors import RemoteError
from tests.fakes import HOST_KEY

GOOD = BootReport(
    system_state="running",
    failed_units=(),
    leftovers=(),
    checks=(CheckResult("nginx answers", 0, "ok"),),
    broken_packages=(),
    contents=Contents(),
)
UNIT = FailedUnit("app.service", ("first line", "last line"))
UNIT_FINDING = Finding(FindingKind.UNIT, "app.service", "failed\n  first line\n  last line")


@pytest.mark.parametrize(
    ("changes", "findings"),
    [
        ({}, ()),
        (
            {"system_state": "starting"},
            (Finding(FindingKind.SYSTEMD, "state", "starting, not running"),),
        ),
        (
            {"system_state": "degraded"},
            (Finding(FindingKind.SYSTEMD, "state", "degraded, not running"),),
        ),
        ({"system_state": "degraded", "failed_units": (UNIT,)}, (UNIT_FINDING,)),
        (
            {"system_state": "maintenance", "failed_units": (UNIT,)},
            (Finding(FindingKind.SYSTEMD, "state", "maintenance, not running"), UNIT_FINDING),
        ),
        ({"failed_units": (UNIT,)}, (UNIT_FINDING,)),
        (
            {"checks": (CheckResult("a", 0, ""), CheckResult("b", 3, "one\ntwo"))},
            (Finding(FindingKind.CHECK, "b", "exit code 3\n  one\n  two"),),
        ),
        (
            {"leftovers": (Leftover("/etc/machine-id", "shared"),)},
            (Finding(FindingKind.HYGIENE, "/etc/machine-id", "shared"),),
        ),
        (
            {"broken_packages": ("nginx",)},
            (Finding(FindingKind.PACKAGE, "nginx", "not fully installed"),),
        ),
    ],
    ids=lambda each: "+".join(each) or "good" if isinstance(each, dict) else "",
)
def test_judging(changes: dict[str, Any], findings: tuple[Finding, ...]) -> None:
    assert judge(replace(GOOD, **changes)) == findings


def test_a_finding_reads_as_a_sentence() -> None:
    assert str(UNIT_FINDING) == "unit app.service: failed\n  first line\n  last line"


DOCUMENT = {
    "system_state": "degraded",
    "failed_units": [{"name": "app.service", "journal": ["first line", "last line"]}],
    "leftovers": [{"path": "/root/.aws", "why": "credentials"}],
    "checks": [{"name": "a", "status": 1, "output": "no"}],
    "broken_packages": ["nginx"],
    "contents": {
        "packages": {"bash": "5.2"},
        "files": {"/etc/a": {"sha256": "0", "mode": "0644", "owner": "root:root"}},
        "units": {"ssh.service": "enabled"},
        "ports": ["tcp 0.0.0.0:22 sshd"],
        "users": {"root": "0:root:/root:/bin/bash:"},
        "kernel": "6.1",
    },
    "seconds": 1.5,
}


def test_a_report_is_read_whole() -> None:
    assert parse_report(f"sudo: a word before\n{json.dumps(DOCUMENT)}\n") == BootReport(
        system_state="degraded",
        failed_units=(UNIT,),
        leftovers=(Leftover("/root/.aws", "credentials"),),
        checks=(CheckResult("a", 1, "no"),),
        broken_packages=("nginx",),
        contents=Contents(
            packages={"bash": "5.2"},
            files={"/etc/a": FileFact("0", "0644", "root:root")},
            units={"ssh.service": "enabled"},
            ports=("tcp 0.0.0.0:22 sshd",),
            users={"root": "0:root:/root:/bin/bash:"},
            kernel="6.1",
        ),
        seconds=1.5,
    )


@pytest.mark.parametrize(
    "text",
    ["", "Traceback\nNameError", "[]", "null", "{}"]
    + [json.dumps({**DOCUMENT, name: None}) for name in ("failed_units", "checks", "contents", "seconds")],
)
def test_what_is_no_report_is_an_error(text: str) -> None:
    with pytest.raises(RemoteError, match="no report"):
        parse_report(text)


RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQ=="
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIi"


def block(*lines: str) -> str:
    return "\n".join(("-----BEGIN SSH HOST KEY KEYS-----", *lines, "-----END SSH HOST KEY KEYS-----", ""))


@pytest.mark.parametrize(
    ("console", "keys"),
    [
        ("", ()),
        ("Debian GNU/Linux 12 ip-10-90-0-10 ttyS0\n", ()),
        (block(f"{HOST_KEY} root@a", f"{RSA} root@a"), (HOST_KEY, RSA)),
        (block(f"{OTHER} root@a") + block(f"{HOST_KEY} root@a"), (HOST_KEY,)),
        (block(f"{HOST_KEY} root@a") + f"-----BEGIN SSH HOST KEY KEYS-----\n{OTHER}", (HOST_KEY,)),
        (f"-----BEGIN SSH HOST KEY KEYS-----\n{HOST_KEY}", ()),
        (f"{HOST_KEY}\n-----END SSH HOST KEY KEYS-----", ()),
        (block(f"{HOST_KEY} root@a").replace("\n", "\r\n"), (HOST_KEY,)),
        (block(f"[   12.3] cloud-init[5]: {HOST_KEY} root@a"), (HOST_KEY,)),
        (block(f"{HOST_KEY} root@a", f"{HOST_KEY} root@a"), (HOST_KEY,)),
        (block(HOST_KEY.replace("ssh-ed25519", "ssh-rsa")), ()),
        (block("ssh-ed25519 AAAA[  12.3] usb 1-1: new device"), ()),
    ],
    ids=[
        "nothing yet",
        "no block",
        "one block",
        "the last of two",
        "the last complete of two",
        "no end",
        "no beginning",
        "a serial line",
        "behind a logger",
        "twice the same",
        "not of the kind it says",
        "cut by the kernel",
    ],
)
def test_host_keys_in_a_console(console: str, keys: tuple[str, ...]) -> None:
    assert host_keys_in_console(console) == keys
