# SPDX-License-Identifier: Apache-2.0
"""What people are called in certificates, records and parameters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.door import WHO, Door, KeyId, known_as, principal, who_of


@pytest.mark.parametrize(
    ("arn", "who"),
    [
        ("arn:aws:iam::111122223333:user/ann", "ann"),
        ("arn:aws:iam::111122223333:user/team/ops/ann", "ann"),
        ("arn:aws:iam::111122223333:root", "root"),
        ("arn:aws:sts::111122223333:assumed-role/operators/ann@example.com", "ann-example.com"),
        ("arn:aws:sts::111122223333:assumed-role/operators/botocore-session-1764", "botocore-session-1764"),
        ("arn:aws:sts::111122223333:federated-user/ann=ops,1", "ann-ops-1"),
        ("arn:aws:sts::111122223333:assumed-role/operators/@", "nobody"),
        (f"arn:aws:iam::111122223333:user/{63 * 'a'}=b", 63 * "a"),
    ],
)
def test_people_are_called_by_the_last_part_of_their_arn(arn: str, who: str) -> None:
    assert who_of(arn) == who


@given(st.text())
def test_whatever_somebody_is_called_a_parameter_can_be(name: str) -> None:
    assert WHO.fullmatch(known_as(name))
    assert known_as(known_as(name)) == known_as(name)


def test_principals_and_key_ids_read_as_machines_expect_them() -> None:
    assert principal("sandbox", "api", Door.READER) == "sandbox/api/reader"
    assert str(KeyId("ann", Door.SHELL, "ssh-1")) == "ann/shell/ssh-1"
