# SPDX-License-Identifier: Apache-2.0
"""A substrate of a checkout of its own, so that these tests meet no region that runs here; and one demo."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from sandbox import names, preflight
from sandbox.machines.host import HostSubstrate
from tests.sandbox.bake.project import CHECKOUT, Project, ended, free_port
from tests.sandbox.environments.demo import Demo

DEMO_PATIENCE_S = 1200.0
# What the demo needs beside what any bake does.
MORE = ("examples", "functions", "playbooks", "roles", "stacks")


@pytest.fixture(scope="session")
def able_host() -> None:
    """Fail, with all that is missing, where machines can't run: `invoke test --fast` is for such hosts."""
    lacking = preflight.missing()
    if lacking:
        pytest.fail("; ".join(str(each) for each in lacking))


@pytest.fixture(scope="module")
def substrate(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostSubstrate]:
    """A substrate that is empty at first and leaves nothing."""
    made = HostSubstrate(names.of_checkout(tmp_path_factory.mktemp("checkout")))
    try:
        yield made
    finally:
        made.destroy_all(images=True)


@pytest.fixture
def empty_substrate(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostSubstrate]:
    """A second substrate, for tests that look at all of it or need two."""
    made = HostSubstrate(names.of_checkout(tmp_path_factory.mktemp("checkout")))
    try:
        yield made
    finally:
        made.destroy_all(images=True)


@pytest.fixture(name="demo", scope="session")
def fixture_demo(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo once, in a checkout of its own."""
    project = Project.make(tmp_path_factory.mktemp("demo") / "checkout", port=free_port())
    for name in MORE:
        shutil.copytree(CHECKOUT / name, project.path / name, dirs_exist_ok=True)
    try:
        yield Demo(project, ended(project.start("demo", "--json"), DEMO_PATIENCE_S).done())
    finally:
        assert project.run("sandbox.reset").status == 0
