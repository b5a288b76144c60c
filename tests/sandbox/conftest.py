# SPDX-License-Identifier: Apache-2.0
"""A substrate of a checkout of its own, so that these tests meet no region that runs here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox import names, preflight
from sandbox.machines.host import HostSubstrate


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
