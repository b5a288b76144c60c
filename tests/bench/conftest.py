# SPDX-License-Identifier: Apache-2.0
"""A report for all measurements of a run, and a region of their own for those that need machines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sandbox import control, preflight
from sandbox.state_dir import StateDir
from tests.bench.report import Report
from tests.sandbox.plain_network import make_plain_network
from tests.sandbox.region.conftest import RealRegion, free_port

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENT = PROJECT / "docs" / "benchmarks.md"
# Set, it has the measured sections of the document written anew.
WRITE = "SLIPWAY_WRITE_BENCHMARKS"


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    """Return the report; it is printed when everything is measured."""
    made = Report()
    yield made
    sys.stdout.write(f"\n\n{made.text()}")
    if os.environ.get(WRITE):
        made.write(DOCUMENT)
        sys.stdout.write(f"written to {DOCUMENT.relative_to(PROJECT)}\n")


@pytest.fixture(scope="session")
def operator_environ() -> Mapping[str, str]:
    """Return an operator's environment: Python keeps what it has compiled, as it does unless told not to."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "SLIPWAY_SANDBOX_PORT")
    return {name: value for name, value in os.environ.items() if name not in dropped}


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegion]:
    """Return a region beside the checkout's own one; it is removed without a trace."""
    if lacking := preflight.missing():
        pytest.skip("; ".join(str(each) for each in lacking))
    directory = tmp_path_factory.mktemp("bench")
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    state = StateDir(directory / ".sandbox")
    try:
        info = control.up(port=free_port(), state_dir=state)
        make_plain_network(info.endpoint)
        made = RealRegion(state, info.endpoint, key)
        public_key = key.with_suffix(".pub").read_bytes()
        made.client("ec2").import_key_pair(KeyName="operator", PublicKeyMaterial=public_key)
        yield made
    finally:
        control.reset(state_dir=state)
