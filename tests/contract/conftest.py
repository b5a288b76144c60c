# SPDX-License-Identifier: Apache-2.0
"""Every contract test runs twice: on a fake, and on the adapter to AWS with moto as AWS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from moto import mock_aws

from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint
from tests.fakes import FakeClock

REGION = "us-east-1"
# Reading the models of a service takes longer than most tests; a client made once serves all of them.
SESSION = AwsSession(Endpoint(REGION, credentials=CredentialSource.LOCAL))


@dataclass
class Aws:
    """AWS as moto plays it."""

    session: AwsSession

    @property
    def ec2(self) -> Any:
        return self.session.client("ec2")

    @property
    def s3(self) -> Any:
        return self.session.client("s3")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    # Hundreds of public images that no test looks at take seconds.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        yield Aws(SESSION)
