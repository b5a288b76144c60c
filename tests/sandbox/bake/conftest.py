# SPDX-License-Identifier: Apache-2.0
"""A region of its own for all tests here, and projects with tiny images that are baked in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sandbox.bake.holdings import Account
from tests.sandbox.bake.project import Project, free_port
from tests.sandbox.plain_network import make_plain_network

WRITE = """
- name: Write a file
  ansible.builtin.copy:
    src: written
    dest: /srv/written
    owner: root
    group: root
    mode: "0644"
"""


@contextmanager
def with_region(path: Path) -> Iterator[Project]:
    """Give a project whose region runs, and is gone without a trace afterwards."""
    project = Project.make(path, port=free_port())
    try:
        project.run("sandbox.up", "--json").done()
        make_plain_network(f"http://127.0.0.1:{project.port}")
        yield project
    finally:
        ended = project.run("sandbox.reset")
        assert ended.status == 0, ended


@pytest.fixture(name="home", scope="session")
def fixture_home(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose region all tests share; it has no class of its own."""
    with with_region(tmp_path_factory.mktemp("bake") / "home") as project:
        yield project


@pytest.fixture(name="account", scope="session")
def fixture_account(home: Project) -> Account:
    """The shared region as its operator sees it."""
    return Account(home.port)


@pytest.fixture(name="project")
def fixture_project(home: Project, tmp_path: Path) -> Project:
    """A checkout without classes that bakes in the shared region."""
    return Project.make(tmp_path / "project", port=home.port)
