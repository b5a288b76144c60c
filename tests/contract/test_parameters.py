# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Parameters."""

from __future__ import annotations

import pytest

from orchestrator.aws.parameters import SsmParameters
from orchestrator.ports import Parameters
from tests.contract.conftest import Aws
from tests.fakes import FakeParameters


@pytest.fixture(params=["fake", "ssm"])
def parameters(request: pytest.FixtureRequest) -> Parameters:
    if request.param == "fake":
        return FakeParameters()
    aws: Aws = request.getfixturevalue("aws")
    return SsmParameters(aws.session)


class TestParameters:
    def test_those_that_exist_are_returned(self, parameters: Parameters) -> None:
        names = [f"/slipway/dev/fleet{number}/ami" for number in range(12)]
        for name in names[1:]:
            assert parameters.create(name, f"ami-of-{name}") is True
        assert parameters.get(names) == {name: f"ami-of-{name}" for name in names[1:]}
        assert parameters.get([]) == {}

    def test_one_that_exists_is_not_written_over(self, parameters: Parameters) -> None:
        assert parameters.create("/slipway/dev/api/ami", "ami-1") is True
        assert parameters.create("/slipway/dev/api/ami", "ami-2") is False
        assert parameters.get(["/slipway/dev/api/ami"]) == {"/slipway/dev/api/ami": "ami-1"}

    def test_one_is_written_over_on_request(self, parameters: Parameters) -> None:
        for ami_id in ("ami-1", "ami-2"):
            parameters.put("/slipway/dev/api/ami", ami_id)
            assert parameters.get(["/slipway/dev/api/ami"]) == {"/slipway/dev/api/ami": ami_id}

    def test_those_below_a_path_are_returned_by_the_rest_of_their_names(self, parameters: Parameters) -> None:
        for number in range(12):
            parameters.put(f"/slipway/dev/ssh/keys/name{number}", f"key {number}")
        parameters.put("/slipway/dev/ssh/keys-of-others/ann", "no")
        parameters.put("/slipway/dev/ssh/keys/ann/old", "no")
        assert parameters.below("/slipway/dev/ssh/keys") == {f"name{n}": f"key {n}" for n in range(12)}
        assert parameters.below("/slipway/dev/ssh/none") == {}

    def test_deleting_forgets_those_that_are_there(self, parameters: Parameters) -> None:
        names = [f"/slipway/dev/ssh/keys/name{number}" for number in range(12)]
        for name in names:
            parameters.put(name, "a key")
        parameters.delete([*names[1:], "/slipway/dev/ssh/keys/unknown"])
        parameters.delete([])
        assert parameters.get(names) == {names[0]: "a key"}
