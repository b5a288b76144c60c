# SPDX-License-Identifier: Apache-2.0
"""packer/images.yaml: what is read, and all that is told when it or what it names is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.images import closure, load_graph
from orchestrator.errors import ConfigError
from tests.unit.closure_trees import write_project

PROJECT = Path(__file__).resolve().parents[2]
CASES = yaml.safe_load((PROJECT / "tests/cases/config/images.yaml").read_text())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_a_wrong_file_is_told_line_by_line(tmp_path: Path, case: dict[str, Any]) -> None:
    changes = dict(case.get("files", {}))
    if "classes" in case:
        changes["packer/images.yaml"] = yaml.safe_dump({"classes": case["classes"]}, sort_keys=False)
    with pytest.raises(ConfigError) as caught:
        load_graph(write_project(tmp_path, changes))
    assert list(caught.value.problems) == [f"packer/images.yaml: {line}" for line in case["told"]]


def test_the_project_that_cases_begin_with_is_valid(tmp_path: Path) -> None:
    graph = load_graph(write_project(tmp_path))
    assert [[each.name for each in level] for level in graph.levels()] == [["base"], ["api"]]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"packer/images\.yaml: does not exist"):
        load_graph(tmp_path)


def test_the_project_s_classes_are_those_of_its_design() -> None:
    graph = load_graph(PROJECT)
    assert [[each.name for each in level] for level in graph.levels()] == [
        ["base"],
        ["api", "bastion", "worker"],
    ]
    assert graph.source_of("worker").owner == "136693071363"
    assert all(len(each.checks) >= 2 for each in graph.classes.values())


def test_each_class_has_the_roles_that_its_playbook_needs() -> None:
    graph = load_graph(PROJECT)
    roles = {
        name: {found[1] for path in closure(PROJECT, each) if (found := re.match("roles/([a-z_]+)/", path))}
        for name, each in graph.classes.items()
    }
    assert roles["base"] == {"common", "hardening", "ssh_server", "image_facts", "image_seal"}
    # Both that open doors of the ssh server's do it by that role's tasks.
    ends = {"fleet_member", "operator_access", "ssh_server", "image_facts", "image_seal"}
    assert roles["bastion"] == {"bastion", *ends}
    assert roles["api"] == {"api_front", *ends}
    assert roles["worker"] == {"worker_runner", *ends}


def test_a_closure_holds_every_file_of_a_role_but_its_tests_and_its_manual() -> None:
    files = closure(PROJECT, load_graph(PROJECT).classes["base"])
    folder = PROJECT / "roles" / "hardening"
    on_disk = {path.relative_to(PROJECT).as_posix() for path in folder.rglob("*") if path.is_file()}
    expected = {
        path
        for path in on_disk
        if "/molecule/" not in path and "__pycache__" not in path and not path.endswith("/README.md")
    }
    assert {path for path in files if path.startswith("roles/hardening/")} == expected


def test_a_closure_holds_what_decides_beside_the_roles(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    assert set(closure(project, load_graph(project).classes["base"])) == {
        "ansible.cfg",
        "packer/image.pkr.hcl",
        "packer/images.yaml#base",
        "packer/plugins.pkr.hcl",
        "playbooks/images/base.yml",
        "requirements.lock#ansible",
        "roles/common/tasks/main.yml",
        "roles/common/tasks/more.yml",
    }


@pytest.mark.parametrize(
    ("changed", "is_other"),
    [
        pytest.param(
            "ansible==12.3.0 \\\nansible-core==2.19.14 \\\nmitogen==9 \\\n", False, id="the accelerator"
        ),
        pytest.param("ansible==12.3.0 \\\nansible-core==2.19.15 \\\n", True, id="ansible-core"),
        pytest.param("ansible==12.4.0 \\\nansible-core==2.19.14 \\\n", True, id="ansible"),
        pytest.param(
            "ansible-core==2.19.14 \\\nansible-lint==1 \\\nansible==12.3.0 \\\n", False, id="the order"
        ),
    ],
)
def test_of_the_lock_only_ansible_decides(tmp_path: Path, changed: str, is_other: bool) -> None:
    before = write_project(tmp_path / "before")
    after = write_project(tmp_path / "after", {"requirements.lock": changed})
    closures = [closure(project, load_graph(project).classes["base"]) for project in (before, after)]
    assert (closures[0] != closures[1]) == is_other


def test_a_class_s_own_entry_decides_and_others_don_t(tmp_path: Path) -> None:
    classes = {
        "base": {
            "source": {"owner": "136693071363", "name": "debian-12-*"},
            "playbook": "playbooks/images/base.yml",
        },
        "api": {
            "parent": "base",
            "playbook": "playbooks/images/api.yml",
            "checks": [{"name": "a", "command": "true"}],
        },
    }
    before = write_project(tmp_path / "before", {"packer/images.yaml": yaml.safe_dump({"classes": classes})})
    classes["api"]["checks"] = [{"name": "a", "command": "false"}]
    after = write_project(tmp_path / "after", {"packer/images.yaml": yaml.safe_dump({"classes": classes})})
    graphs = [(project, load_graph(project)) for project in (before, after)]
    base, api = (
        [closure(project, graph.classes[name]) for project, graph in graphs] for name in ("base", "api")
    )
    assert base[0] == base[1]
    assert api[0] != api[1]
