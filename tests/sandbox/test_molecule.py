# SPDX-License-Identifier: Apache-2.0
"""Runs the molecule scenario of every role, two at a time, each on a machine of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.machines import debian
from sandbox.machines.podman import Podman
from sandbox.names import of_checkout

ROOT = Path(__file__).resolve().parents[2]
# The longest first, so that the last one to end is a short one.
ROLES = (
    "hardening",
    "operator_access",
    "api_front",
    "common",
    "fleet_member",
    "ssh_server",
    "worker_runner",
    "bastion",
    "image_seal",
    "image_facts",
)
TOGETHER = 2
LIMIT_S = 400
# What .config/molecule/config.yml takes when nothing is said, so that one scenario can be run by hand.
IMAGE_BY_HAND = "localhost/slipway-molecule:debian-12"

Outcome = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.sandbox


def machine(role: str) -> str:
    """Return the name of the machine that a role is tested on."""
    return f"molecule-{of_checkout(ROOT).prefix}-{role.replace('_', '-')}"


def environment(role: str, image: str) -> dict[str, str]:
    """Return the environment: a machine of this checkout and role, and mitogen where it is installed."""
    own_bin = Path(sys.executable).parent
    environ = {
        **os.environ,
        "PATH": f"{own_bin}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
        "SLIPWAY_MOLECULE_INSTANCE": machine(role),
        "SLIPWAY_MOLECULE_IMAGE": image,
    }
    accelerator = importlib.util.find_spec("ansible_mitogen")
    if accelerator is None or accelerator.origin is None:
        return environ
    plugins = Path(accelerator.origin).parent / "plugins/strategy"
    return {**environ, "ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(plugins)}


def molecule(role: str, image: str) -> Outcome:
    """Run the whole scenario of a role."""
    return subprocess.run(
        [Path(sys.executable).parent / "molecule", "test"],
        cwd=ROOT / "roles" / role,
        env=environment(role, image),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.fixture(name="image", scope="module")
def debian_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the image that roles are tested on: the region's own Debian."""
    names = of_checkout(ROOT)
    podman = Podman(names)
    image = debian.ensure(podman, names.cache_dir, on_progress=lambda _: None)
    podman.tag(image, IMAGE_BY_HAND)
    return image


@pytest.fixture(name="outcomes", scope="module")
def molecule_runs(image: str, request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Outcome]]]:
    """Start the scenarios of the roles that are to be tested, and leave no machine behind."""
    mine = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    ]
    wanted = {item.callspec.params["role"] for item in mine if hasattr(item, "callspec")}
    with ThreadPoolExecutor(max_workers=TOGETHER) as pool:
        runs = {role: pool.submit(molecule, role, image) for role in ROLES if role in wanted}
        yield runs
        for run in runs.values():
            run.cancel()
    subprocess.run(
        ["podman", "rm", "--force", "--ignore", "--time=0", *(machine(role) for role in runs)],
        env={**os.environ, "CONTAINERS_CONF": str(ROOT / ".config/molecule/containers.conf")},
        capture_output=True,
        check=True,
    )


def test_every_role_is_tested() -> None:
    assert set(ROLES) == {path.parent.parent.name for path in (ROOT / "roles").glob("*/meta/main.yml")}


@pytest.mark.parametrize("role", ROLES)
def test_role(role: str, outcomes: Mapping[str, Future[Outcome]]) -> None:
    done = outcomes[role].result()
    assert done.returncode == 0, "\n".join((done.stdout + done.stderr).splitlines()[-60:])
    assert " passed in " in done.stdout
