# SPDX-License-Identifier: Apache-2.0
"""The world of the tunnel's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.tunnel.ssh_world import SshWorld


@pytest.fixture
def world() -> Iterator[SshWorld]:
    built = SshWorld()
    try:
        yield built
    finally:
        built.close()
