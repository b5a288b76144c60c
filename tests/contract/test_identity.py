# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Identity."""

from __future__ import annotations

import pytest

from orchestrator.aws.identity import AwsIdentity
from orchestrator.ports import Identity
from tests.fakes import ACCOUNT, FakeIdentity


@pytest.fixture(params=["fake", "sts"])
def identity(request: pytest.FixtureRequest) -> Identity:
    return FakeIdentity() if request.param == "fake" else AwsIdentity(request.getfixturevalue("aws").session)


def test_the_account_is_that_of_the_credentials(identity: Identity) -> None:
    assert identity.account_id() == ACCOUNT
