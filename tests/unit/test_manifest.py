# SPDX-License-Identifier: Apache-2.0
"""Manifests survive JSON, and two of them differ in what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.manifest import Changes, Contents, FileFact, Manifest, diff

NOTHING = Changes({}, {}, {})
CONTENTS = Contents(
    packages={"bash": "5.2-1", "nginx": "1.22"},
    files={"/etc/a": FileFact("0" * 64, "0644", "root:root")},
    units={"nginx.service": "enabled"},
    ports=("tcp 0.0.0.0:22 sshd",),
    users={"admin": "1000:admin:/home/admin:/bin/bash:sudo"},
    kernel="6.1.0-30",
)
MANIFEST = Manifest(
    class_name="api",
    bake_key="0" * 32,
    image_name="api-" + "0" * 32,
    ami_id="ami-1",
    parent="base-" + "1" * 32,
    created_at=datetime(2026, 1, 1, 12, 0, tzinfo=UTC),
    inputs={"roles/a/tasks/main.yml": "aa"},
    contents=CONTENTS,
)


def changed(**fields: Any) -> Manifest:
    return replace(MANIFEST, contents=replace(CONTENTS, **fields))


def test_a_manifest_survives_json() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


words = st.text(max_size=8)


@given(packages=st.dictionaries(words, words), ports=st.lists(words), inputs=st.dictionaries(words, words))
def test_any_manifest_survives_json(
    packages: dict[str, str], ports: list[str], inputs: dict[str, str]
) -> None:
    manifest = replace(changed(packages=packages, ports=tuple(ports)), inputs=inputs)
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_json_is_compact_and_the_same_in_whatever_order_things_were_found() -> None:
    other = changed(packages=dict(reversed(CONTENTS.packages.items())))
    assert other.to_json() == MANIFEST.to_json()
    assert ", " not in MANIFEST.to_json()
    assert "\n" not in MANIFEST.to_json()


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", MANIFEST.to_json().replace('"packages"', '"x"')])
def test_what_is_no_manifest_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a manifest|Expecting value"):
        Manifest.from_json(text)


def test_nothing_differs_from_itself() -> None:
    assert not diff(MANIFEST, MANIFEST)


@pytest.mark.parametrize(
    ("fields", "kind", "changes"),
    [
        (
            {"packages": {"bash": "5.2-2", "curl": "7"}},
            "packages",
            Changes({"curl": "7"}, {"nginx": "1.22"}, {"bash": ("5.2-1", "5.2-2")}),
        ),
        (
            {"files": {"/etc/a": FileFact("0" * 64, "0600", "root:root")}},
            "files",
            Changes({}, {}, {"/etc/a": ("000000000000 0644 root:root", "000000000000 0600 root:root")}),
        ),
        (
            {"units": {"nginx.service": "masked"}},
            "units",
            Changes({}, {}, {"nginx.service": ("enabled", "masked")}),
        ),
        (
            {"ports": ("tcp 0.0.0.0:80 nginx", *CONTENTS.ports)},
            "ports",
            Changes({"tcp 0.0.0.0:80 nginx": ""}, {}, {}),
        ),
        ({"users": {}}, "users", Changes({}, dict(CONTENTS.users), {})),
    ],
    ids=["packages", "files", "units", "ports", "users"],
)
def test_one_kind_differs(fields: dict[str, Any], kind: str, changes: Changes) -> None:
    found = diff(MANIFEST, changed(**fields))
    assert found
    kinds = {
        name: getattr(found, name) for name in ("packages", "files", "units", "ports", "users", "inputs")
    }
    assert kinds == dict.fromkeys(kinds, NOTHING) | {kind: changes}
    assert found.kernel is None


def test_kernels_and_inputs_differ() -> None:
    found = diff(MANIFEST, replace(changed(kernel="6.1.0-31"), inputs={"roles/a/tasks/main.yml": "bb"}))
    assert found.kernel == ("6.1.0-30", "6.1.0-31")
    assert found.inputs == Changes({}, {}, {"roles/a/tasks/main.yml": ("aa", "bb")})
