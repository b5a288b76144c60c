# SPDX-License-Identifier: Apache-2.0
"""A variant of an image has one role more, before it is sealed, and leaves the project alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestrator.config.images import closure, load_graph
from orchestrator.config.variant import make_variant
from orchestrator.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
DEMO_IMAGES = PROJECT / "examples" / "demo_images"


def roles(project: Path, server_class: str) -> list[str]:
    [play] = yaml.safe_load((project / f"playbooks/images/{server_class}.yml").read_text())
    return [each["role"] for each in play["roles"]]


def made_of(project: Path, server_class: str) -> dict[str, str]:
    return dict(closure(project, load_graph(project).classes[server_class]))


@pytest.mark.parametrize("name", ["next", "broken"])
def test_a_variant_differs_by_its_role_alone(tmp_path: Path, name: str) -> None:
    variant = tmp_path / "variant"
    make_variant(PROJECT, variant, server_class="api", role=DEMO_IMAGES / name)
    before = roles(PROJECT, "api")
    assert roles(variant, "api") == [*before[:-2], f"variant_{name}", *before[-2:]]
    old, new = made_of(PROJECT, "api"), made_of(variant, "api")
    assert {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)} == {
        "playbooks/images/api.yml",
        f"roles/variant_{name}/tasks/main.yml",
    }


@pytest.mark.parametrize("server_class", ["base", "worker"])
def test_the_other_classes_stay_as_they_are(tmp_path: Path, server_class: str) -> None:
    make_variant(PROJECT, tmp_path, server_class="api", role=DEMO_IMAGES / "next")
    assert made_of(tmp_path, server_class) == made_of(PROJECT, server_class)


def test_what_a_killed_run_left_is_gone(tmp_path: Path) -> None:
    left = tmp_path / "variant" / "roles" / "old"
    left.mkdir(parents=True)
    make_variant(PROJECT, tmp_path / "variant", server_class="api", role=DEMO_IMAGES / "next")
    assert not left.exists()


def test_an_image_that_is_never_sealed_has_no_place_for_a_role(tmp_path: Path) -> None:
    make_variant(PROJECT, tmp_path / "open", server_class="api", role=DEMO_IMAGES / "next")
    (tmp_path / "open/playbooks/images/api.yml").write_text("- hosts: all\n  roles: [common]\n")
    with pytest.raises(ConfigError, match="has no role image_facts"):
        make_variant(tmp_path / "open", tmp_path / "again", server_class="api", role=DEMO_IMAGES / "broken")
