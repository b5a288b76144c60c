# SPDX-License-Identifier: Apache-2.0
"""Which machine this is: only one with the tags of a fleet, of an image of ours, is one of an environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from operator_access.machine import Machine, this_machine

DOCUMENT = {"instanceId": "i-1", "region": "us-east-1", "accountId": "123456789012"}
METADATA = {
    "meta-data/tags/instance/slipway:environment": "sandbox",
    "meta-data/tags/instance/slipway:fleet": "web",
    "dynamic/instance-identity/document": json.dumps(DOCUMENT),
}


@pytest.fixture(name="facts")
def image_facts(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_text("SLIPWAY_IMAGE=api-1\nSLIPWAY_IMAGE_CLASS=api\n")
    return path


def test_a_machine_of_a_fleet_knows_itself(facts: Path) -> None:
    machine = this_machine(METADATA.get, facts)
    assert machine == Machine("sandbox", "web", "api", "i-1", "us-east-1", "123456789012")


@pytest.mark.parametrize("name", list(METADATA)[:2])
def test_one_without_a_tag_is_none_of_ours(facts: Path, name: str) -> None:
    assert this_machine((METADATA | {name: ""}).get, facts) is None
    assert this_machine({key: METADATA[key] for key in METADATA if key != name}.get, facts) is None


def test_one_of_another_image_is_none_of_ours(tmp_path: Path) -> None:
    assert this_machine(METADATA.get, tmp_path / "absent") is None


def test_where_nobody_answers_that_is_told(facts: Path) -> None:
    def read(path: str) -> str | None:
        raise TimeoutError

    with pytest.raises(OSError):  # noqa: PT011 - whatever urllib makes of it
        this_machine(read, facts)
