# SPDX-License-Identifier: Apache-2.0
"""The program a boot test sends to a fresh machine, as the input of `python3 -`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from orchestrator.domain.boot_test import Check

_SOURCE = Path(__file__).with_name("probe.py")


def probe_program(
    *,
    seal_paths: Sequence[Mapping[str, str]],
    checks: Sequence[Check] = (),
    public_keys: Sequence[str] = (),
    start_timeout_s: float = 180.0,
) -> bytes:
    """Return the program: the probe's source, then one line that runs it with what it is asked.

    Args:
        seal_paths: The list `image_seal_paths` of the role image_seal, as it stands there.
        checks: What the class asks of a machine.
        public_keys: The keys that may be in authorized_keys, as `ssh-ed25519 AAAA...` lines.
        start_timeout_s: How long systemd may take to finish starting.
    """
    request = {
        "seal_paths": [dict(entry) for entry in seal_paths],
        "checks": [asdict(check) for check in checks],
        "public_keys": list(public_keys),
        "start_timeout_s": start_timeout_s,
    }
    call = f"\nmain(json.loads({json.dumps(request)!r}))\n"
    return _SOURCE.read_bytes() + call.encode()
