# SPDX-License-Identifier: Apache-2.0
"""Answers in words: the region's writer and its way to find members say what xmltodict's and moto's say."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, StrEnum
from typing import Any

import pytest
import xmltodict  # type: ignore[import-untyped]
from moto.core.serialize import ResponseSerializer

from sandbox.api import answers

from .simulated_world import Client, simulated


class _Colour(StrEnum):
    RED = "r&d"


class _Old(str, Enum):  # noqa: UP042 - moto has such
    BLUE = "blue"


@pytest.mark.parametrize("is_short", [True, False])
@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        "",
        None,
        "a < b & c > d \"e\" 'f' é\n",
        True,
        0,
        1.5,
        {},
        {"@xmlns": 'http://x/"y"'},
        {"@xmlns": "n", "a": None, "b": [], "c": (), "d": ["x", None, {}, {"e": [1, 2]}], "f": {"g": "h"}},
        {"colour": _Colour.RED, "old": _Old.BLUE, "two": {"a": False}},
        {"@id": "7", "#text": "said"},
        {"numbers": {1}, "bytes": b"bytes"},
        {"set": {"one"}},
        [{"a": "b"}],
    ],
    ids=repr,
)
def test_the_writer_writes_what_xmltodict_does(content: Any, is_full: bool, is_short: bool) -> None:
    document = {"Answer": content}
    options = {"full_document": is_full, "short_empty_elements": is_short}
    assert answers.writing(xmltodict.unparse)(document, **options) == xmltodict.unparse(document, **options)


@pytest.mark.parametrize("document", [{"a<b": "c"}, {"a": {"b c": "d"}}, {"one": "1", "two": "2"}])
def test_what_xmltodict_refuses_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="name|root"):
        answers.writing(xmltodict.unparse)(document)


@pytest.fixture(name="client")
def fixture_client() -> Iterator[Client]:
    yield from simulated()


def test_answers_tell_what_they_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the same of moto's own way and of the region's, and compare what is understood."""
    client.group(3)
    client.advance(60)
    fast = [_asked(client) for _ in range(2)]
    assert answers.install.__module__ == ResponseSerializer.get_value.__module__, "it is in place"
    own = client.local.region._patches._undo
    for owner, name, original in own:
        if (owner, name) in ((ResponseSerializer, "get_value"), (xmltodict, "unparse")):
            monkeypatch.setattr(owner, name, original)
    assert ResponseSerializer.get_value.__module__ == "moto.core.serialize"
    assert [_asked(client)] * 2 == fast


def _asked(client: Client) -> list[bytes]:
    client.heard.clear()
    client.aws("ec2").describe_instances()
    client.aws("ec2").describe_instance_status(IncludeAllInstances=True)
    client.aws("ec2").describe_launch_template_versions(LaunchTemplateName="web")
    for name in ("network_interfaces", "volumes", "images", "subnets", "security_groups", "vpcs"):
        getattr(client.aws("ec2"), f"describe_{name}")()
    client.aws("autoscaling").describe_auto_scaling_groups()
    client.aws("autoscaling").describe_scaling_activities()
    client.aws("iam").list_roles()
    # Every answer has an id of its own.
    return [_without_id(body) for *_, body in client.heard]


def _without_id(body: bytes) -> bytes:
    before, _, rest = body.partition(b"equestId>")
    return before + rest.partition(b"<")[2]
