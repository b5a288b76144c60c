# SPDX-License-Identifier: Apache-2.0
"""One demo for all tests here, in a checkout of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.sandbox.bake.project import CHECKOUT, Project, ended, free_port
from tests.sandbox.environments.demo import Demo

DEMO_PATIENCE_S = 900.0
MORE = ("functions", "playbooks", "roles", "stacks")


@pytest.fixture(name="demo", scope="session")
def fixture_demo(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo once."""
    project = Project.make(tmp_path_factory.mktemp("demo") / "checkout", port=free_port())
    for name in MORE:
        shutil.copytree(CHECKOUT / name, project.path / name, dirs_exist_ok=True)
    try:
        yield Demo(project, ended(project.start("demo", "--json"), DEMO_PATIENCE_S).done())
    finally:
        assert project.run("sandbox.reset").status == 0
