# SPDX-License-Identifier: Apache-2.0
"""What all roles and playbooks have in common, and the module that seals an image."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from sandbox.machines.podman import INIT

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.parent for path in (ROOT / "roles").glob("*/meta/main.yml"))
PLAYBOOKS = sorted((ROOT / "playbooks/images").glob("*.yml"))

role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
playbook = pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)


def loaded(path: Path) -> Any:
    """Return the content of a YAML file, or nothing where there is no file."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def module_at(path: Path) -> ModuleType:
    """Import a module by its place; Ansible's are in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_tasks(role: Path) -> list[dict[str, Any]]:
    """Return the tasks and handlers of a role."""
    files = [*sorted((role / "tasks").glob("*.yml")), *sorted((role / "handlers").glob("*.yml"))]
    return [task for path in files for task in loaded(path)]


def test_the_roles_and_classes_of_the_images_are_there() -> None:
    assert {path.name for path in ROLES} == {
        "api_front",
        "bastion",
        "common",
        "fleet_member",
        "hardening",
        "image_facts",
        "image_seal",
        "operator_access",
        "ssh_server",
        "worker_runner",
    }
    assert [path.stem for path in PLAYBOOKS] == ["api", "base", "bastion", "worker"]


@role
def test_readme_says_what_the_specification_says(role: Path) -> None:
    readme = module_at(ROOT / "roles/readme.py")
    assert (role / "README.md").read_text(encoding="utf-8") == readme.render(role), "run ./inv docs"


@role
def test_every_default_is_specified_and_the_other_way_round(role: Path) -> None:
    defaults = loaded(role / "defaults/main.yml") or {}
    options = loaded(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    # A default that refers to the bake's variables cannot be resolved where Ansible reads the specification.
    specified = {name: option.get("default", defaults.get(name)) for name, option in options.items()}
    assert specified == defaults
    derived = {name for name, value in defaults.items() if isinstance(value, str) and "{{" in value}
    assert {name for name, option in options.items() if option.get("required")} == derived


@role
def test_variables_carry_the_role_s_name(role: Path) -> None:
    public, private = f"{role.name}_", f"__{role.name}_"
    assert [name for name in loaded(role / "defaults/main.yml") or {} if not name.startswith(public)] == []
    assert [
        name for name in loaded(role / "vars/main.yml") or {} if not name.startswith((public, private))
    ] == []
    registered = [task["register"] for task in all_tasks(role) if "register" in task]
    assert [name for name in registered if not name.startswith(private)] == []


@role
def test_role_has_a_scenario_with_tests_and_nothing_empty(role: Path) -> None:
    assert (role / "molecule/default/molecule.yml").exists()
    assert (role / f"molecule/default/tests/test_{role.name}.py").exists()
    files = [path for path in role.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert [path for path in files if not path.read_text(encoding="utf-8").strip("-\n ")] == []


@role
def test_templates_lie_where_they_go(role: Path) -> None:
    for task in all_tasks(role):
        template = task.get("ansible.builtin.template", {})
        if template:
            assert "/" + template["src"].removesuffix(".j2") == template["dest"]
            assert {"owner", "group", "mode"} <= template.keys()


@role
def test_no_task_hides_its_failure(role: Path) -> None:
    assert [
        task["name"] for task in all_tasks(role) if "ignore_errors" in task or "failed_when" in task
    ] == []


@role
def test_nothing_is_restarted_while_an_image_is_baked(role: Path) -> None:
    for handler in loaded(role / "handlers/main.yml") or []:
        assert handler["when"] == "image_bake_key is not defined"


@playbook
def test_every_image_is_sealed_last_and_knows_its_name(playbook: Path) -> None:
    (play,) = loaded(playbook)
    names = [entry["role"] for entry in play["roles"]]
    assert names[-2:] == ["image_facts", "image_seal"]
    assert names.count("image_seal") == 1


@playbook
def test_playbook_names_its_roles_statically(playbook: Path) -> None:
    (play,) = loaded(playbook)
    assert {key for key in play if key.endswith(("tasks", "vars_files"))} == set()
    assert {entry["role"] for entry in play["roles"]} <= {path.name for path in ROLES}
    assert (play["become"], play["gather_facts"]) == (True, False)


def test_base_stays_small() -> None:
    (play,) = loaded(ROOT / "playbooks/images/base.yml")
    files = [
        path for entry in play["roles"] for path in (ROOT / "roles" / entry["role"] / "tasks").glob("*.yml")
    ]
    tasks = [task for path in files for task in loaded(path) if "ansible.builtin.import_tasks" not in task]
    assert len(tasks) <= 45


class TestSealList:
    """The list that an image is sealed with, and probed with on a fresh machine."""

    entries: list[dict[str, str]] = loaded(ROOT / "roles/image_seal/vars/main.yml")["image_seal_paths"]

    def test_every_entry_says_what_where_and_why(self) -> None:
        assert {tuple(entry) for entry in self.entries} == {("path", "sealed", "booted", "why")}
        assert {entry["sealed"] for entry in self.entries} == {
            "absent",
            "blank",
            "vacant",
            "stale",
            "no_files",
        }
        assert {entry["booted"] for entry in self.entries} == {"same", "renewed", "any"}
        assert [entry["path"] for entry in self.entries if not entry["path"].startswith("/")] == []

    def test_no_path_is_listed_twice(self) -> None:
        paths = [entry["path"] for entry in self.entries]
        assert len(paths) == len(set(paths))

    @pytest.mark.parametrize(
        "path", ["/etc/ssh/ssh_host_*", "/etc/machine-id", "/home/*/.ssh/authorized_keys", "/root/.*_history"]
    )
    def test_secrets_and_identity_are_on_it(self, path: str) -> None:
        assert path in {entry["path"] for entry in self.entries}


class TestSeal:
    """The module that brings the list about, on a directory of ours."""

    seal = module_at(ROOT / "roles/image_seal/library/seal.py")

    def sealed(self, path: Path | str, state: str) -> list[Path]:
        """Seal one entry, check that nothing stands against it any more, and return what did."""
        entry = {"path": str(path), "sealed": state}
        found: list[Path] = self.seal.offenders(entry, [])
        for offender in found:
            self.seal.settle(offender, entry)
        assert self.seal.offenders(entry, []) == []
        return found

    def test_absent_removes_files_trees_and_links_but_not_what_a_link_points_to(self, tmp_path: Path) -> None:
        kept = tmp_path / "kept"
        kept.write_text("x")
        tree = tmp_path / "gone-tree/below"
        tree.mkdir(parents=True)
        (tmp_path / "gone-link").symlink_to(kept)
        assert self.sealed(tmp_path / "gone-*", "absent") == [tmp_path / "gone-link", tmp_path / "gone-tree"]
        assert [path.name for path in tmp_path.iterdir()] == ["kept"]

    def test_blank_keeps_the_file_and_its_mode(self, tmp_path: Path) -> None:
        identity = tmp_path / "machine-id"
        identity.write_text("0123")
        identity.chmod(0o444)
        assert self.sealed(identity, "blank") == [identity]
        assert (identity.read_text(), identity.stat().st_mode & 0o777) == ("", 0o444)

    def test_vacant_keeps_the_directory(self, tmp_path: Path) -> None:
        (tmp_path / "a/b").mkdir(parents=True)
        (tmp_path / ".hidden").touch()
        assert self.sealed(tmp_path, "vacant") == [tmp_path / ".hidden", tmp_path / "a"]
        assert list(tmp_path.iterdir()) == []

    def test_stale_is_vacant_and_older_than_anything(self, tmp_path: Path) -> None:
        lists = tmp_path / "lists"
        lists.mkdir()
        (lists / "Packages").touch()
        self.sealed(lists, "stale")
        assert (list(lists.iterdir()), lists.stat().st_mtime) == ([], 0)

    def test_no_files_keeps_the_directories(self, tmp_path: Path) -> None:
        service = tmp_path / "nginx"
        service.mkdir()
        (service / "access.log").touch()
        assert self.sealed(tmp_path, "no_files") == [service / "access.log"]
        assert list(tmp_path.iterdir()) == [service]

    def test_what_is_not_there_is_no_finding(self, tmp_path: Path) -> None:
        for state in ("absent", "blank", "vacant", "stale", "no_files"):
            assert self.sealed(tmp_path / "nowhere", state) == []

    def test_the_run_itself_is_spared(self, tmp_path: Path) -> None:
        own = tmp_path / "ansible-tmp-1"
        own.mkdir()
        (tmp_path / "other").touch()
        found = self.seal.offenders({"path": str(tmp_path), "sealed": "vacant"}, [own / "module.py"])
        assert found == [tmp_path / "other"]

    def test_it_spares_what_this_process_imports_from(self) -> None:
        spared = self.seal.own_paths("/dev/shm/ansible-tmp-2")  # noqa: S108
        assert Path(os.__file__).resolve().parent in spared
        assert Path("/dev/shm/ansible-tmp-2") in spared  # noqa: S108


def test_molecules_machines_boot_as_the_regions_do() -> None:
    create = yaml.safe_load((ROOT / ".config/molecule/create.yml").read_text())
    argv = create[0]["tasks"][0]["ansible.builtin.command"]["argv"]
    assert tuple(argv[-len(INIT) :]) == INIT
