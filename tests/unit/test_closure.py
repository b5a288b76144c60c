# SPDX-License-Identifier: Apache-2.0
"""What an image is made of: derived from its playbook, in its key, and all that is staged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.images import closure, load_graph
from orchestrator.config.tree import ProjectTree, stage
from orchestrator.domain.bake_key import Changes, bake_key, changed_files, fingerprint
from orchestrator.domain.closure import derive
from orchestrator.errors import ConfigError, Refused
from tests.unit.closure_trees import FILES, MemoryTree, tree_with, write_project

BASE = "playbooks/images/base.yml"
OF_BASE = frozenset(
    {
        "ansible.cfg",
        "packer/image.pkr.hcl",
        "packer/plugins.pkr.hcl",
        BASE,
        "roles/common/tasks/main.yml",
        "roles/common/tasks/more.yml",
    }
)
TASKS = "roles/common/tasks/main.yml"


def derived(changes: dict[str, str | None], **options: frozenset[str]) -> frozenset[str]:
    files, problems = derive(tree_with(changes, **options), BASE, {})
    assert problems == ()
    return frozenset(files)


def problems_of(changes: dict[str, str | None], **options: frozenset[str]) -> tuple[str, ...]:
    return derive(tree_with(changes, **options), BASE, {})[1]


def play(body: str) -> dict[str, str | None]:
    return {BASE: f"- hosts: all\n{body}\n"}


# What is added to the closure of `base` by a playbook or role that names it.
FOUND = {
    "roles as text and as keys": (play("  roles: [common, {role: web}, {name: other}]"), {"web", "other"}),
    "import_role": (play("  roles: [common]\n  tasks:\n  - import_role: {name: web}"), {"web"}),
    "include_role by its full name": (
        play("  roles: [common]\n  tasks:\n  - ansible.builtin.include_role: {name: web, tasks_from: x}"),
        {"web"},
    ),
    "include_role as text": (play("  roles: [common]\n  tasks:\n  - include_role: name=web"), {"web"}),
    "a role in a handler": (play("  roles: [common]\n  handlers:\n  - include_role: {name: web}"), {"web"}),
    "a role in the rescue of a block": (
        play("  roles: [common]\n  pre_tasks:\n  - block: []\n    rescue:\n    - import_role: {name: web}"),
        {"web"},
    ),
    "a role in a role's task": ({TASKS: "- import_role: {name: web}\n"}, {"web"}),
    "a role in a role's other task file": (
        {"roles/common/tasks/more.yml": "- import_role: {name: web}\n"},
        {"web"},
    ),
    "a role in a role's handler": (
        {"roles/common/handlers/main.yml": "- import_role: {name: web}\n"},
        {"web"},
    ),
    "a role that a role depends on": (
        {
            "roles/common/meta/main.yml": "dependencies: [{role: web}]\n",
            "roles/web/meta/main.yml": "dependencies: [other]\n",
        },
        {"web", "other"},
    ),
    "roles that need each other": (
        {
            "roles/common/meta/main.yml": "dependencies: [web]\n",
            "roles/web/meta/main.yml": "dependencies: [common]\n",
        },
        {"web"},
    ),
    "a role of a collection": (play("  roles: [common, ansible.posix.profile]"), set()),
    "a role in an imported playbook": (
        {
            BASE: "- import_playbook: more.yml\n- hosts: all\n  roles: [common]\n",
            "playbooks/images/more.yml": "- hosts: all\n  roles: [web]\n",
        },
        {"web"},
    ),
    "a role in imported tasks": (
        play("  roles: [common]\n  tasks:\n  - import_tasks: steps/one.yml")
        | {
            "playbooks/images/steps/one.yml": "- include_tasks: {file: two.yml}\n",
            "playbooks/images/steps/two.yml": "- import_role: {name: web}\n",
        },
        {"web"},
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_roles_are_found(case: str) -> None:
    changes, roles = FOUND[case]
    files = derived(changes)
    found = {name.split("/")[1] for name in files if name.startswith("roles/")}
    assert found == {"common", *roles}
    written = {path for path in changes if path.startswith("playbooks/")}
    assert written <= files


def test_a_class_has_nothing_that_it_does_not_name() -> None:
    assert derived({}) == OF_BASE


@pytest.mark.parametrize(
    ("changes", "added"),
    [
        pytest.param(
            play("  roles: [common]\n  vars_files: [vars/all.yml, [one.yml]]")
            | {"playbooks/images/vars/all.yml": "a: 1", "playbooks/images/one.yml": "b: 1"},
            {"playbooks/images/vars/all.yml", "playbooks/images/one.yml"},
            id="vars_files",
        ),
        pytest.param(
            play("  roles: [common]\n  tasks: [{include_vars: {file: one.yml}}]")
            | {"playbooks/images/vars/one.yml": "b: 1"},
            {"playbooks/images/vars/one.yml"},
            id="include_vars",
        ),
        pytest.param(
            play("  roles: [common]\n  vars_files: [../../shared/all.yml]") | {"shared/all.yml": "a: 1"},
            {"shared/all.yml"},
            id="a file elsewhere in the project",
        ),
        pytest.param(
            play(
                "  roles: [common]\n  tasks: [{copy: {src: motd, dest: /etc/motd}}, {template: {src: a.j2}}]"
            )
            | {"playbooks/images/files/motd": "hi", "playbooks/images/templates/a.j2": "hi"},
            {"playbooks/images/files/motd", "playbooks/images/templates/a.j2"},
            id="files of a playbook's tasks",
        ),
        pytest.param(
            play("  roles: [common]\n  tasks: [{copy: {src: tree/, dest: /etc}}, {script: run.sh --all}]")
            | {"playbooks/images/files/tree/a/b": "b", "playbooks/images/run.sh": "#!/bin/sh"},
            {"playbooks/images/files/tree/a/b", "playbooks/images/run.sh"},
            id="a folder and a script",
        ),
        pytest.param(
            {"playbooks/images/group_vars/all.yml": "a: 1", "playbooks/images/filter_plugins/x.py": "x"},
            {"playbooks/images/group_vars/all.yml", "playbooks/images/filter_plugins/x.py"},
            id="what Ansible finds beside a playbook",
        ),
        pytest.param(
            {TASKS: "- template: {src: shared.j2}\n", "playbooks/images/templates/shared.j2": "x"},
            {"playbooks/images/templates/shared.j2"},
            id="a role's file that lies beside the playbook",
        ),
        pytest.param(
            {TASKS: "- include_tasks: '{{ item }}.yml'\n- include_vars: '{{ distribution }}.yml'\n"},
            set(),
            id="templates inside of a role, which is whole anyway",
        ),
        pytest.param(
            {
                "roles/common/files/a.pyc": "x",
                "roles/common/library/__pycache__/x.py": "x",
                "roles/common/x~": "x",
            },
            set(),
            id="what tools leave behind",
        ),
        pytest.param(
            {TASKS: "- copy: {src: /etc/passwd, remote_src: true}\n- apt: {name: '{{ packages }}'}\n"},
            set(),
            id="files of the machine",
        ),
    ],
)
def test_files_are_found(changes: dict[str, str | None], added: set[str]) -> None:
    assert derived(changes) - {"roles/common/tasks/more.yml"} == (OF_BASE | added) - {
        "roles/common/tasks/more.yml"
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            play("  roles: ['{{ x }}']"),
            f"{BASE}: role {{{{ x }}}}: can't be told before the bake",
            id="a role",
        ),
        pytest.param(
            {TASKS: "- include_role: {name: '{{ item }}'}\n  loop: [web]\n"},
            f"{TASKS}: role {{{{ item }}}}: can't be told before the bake",
            id="a role in a loop",
        ),
        pytest.param(
            play("  vars_files: ['{{ stage }}.yml']"),
            f"{BASE}: variables {{{{ stage }}}}.yml: can't be told before the bake",
            id="variables",
        ),
        pytest.param(
            play("  tasks: [{import_tasks: '{{ stage }}.yml'}]"),
            f"{BASE}: tasks {{{{ stage }}}}.yml: can't be told before the bake",
            id="tasks of a playbook",
        ),
        pytest.param(
            play("  tasks: [{copy: {src: '{{ stage }}', dest: /x}}]"),
            f"{BASE}: file {{{{ stage }}}}: can't be told before the bake",
            id="a file of a playbook",
        ),
        pytest.param(
            {TASKS: "- include_tasks: '../../{{ x }}/tasks/main.yml'\n"},
            f"{TASKS}: tasks ../../{{{{ x }}}}/tasks/main.yml: can't be told before the bake",
            id="a way out of a role",
        ),
        pytest.param(
            play("  vars_files: [../../../../etc/passwd]"),
            f"{BASE}: variables ../../../../etc/passwd: does not exist in the project",
            id="variables outside of the project",
        ),
        pytest.param(
            play("  vars_files: [/etc/passwd]"),
            f"{BASE}: variables /etc/passwd: does not exist in the project",
            id="variables by an absolute path",
        ),
        pytest.param(
            {TASKS: "- import_tasks: ../../../../x.yml\n"},
            f"{TASKS}: tasks ../../../../x.yml: does not exist in the project",
            id="tasks outside of the project",
        ),
        pytest.param(
            {BASE: "- import_playbook: ../../../x.yml\n"},
            f"{BASE}: playbook ../../../x.yml: does not exist in the project",
            id="a playbook outside of the project",
        ),
        pytest.param(
            play("  roles: [../stray]"),
            f"{BASE}: role ../stray: does not exist in roles/",
            id="a role's path",
        ),
        pytest.param({TASKS: "a: [\n"}, f"{TASKS}: no YAML", id="broken YAML"),
        pytest.param(
            {TASKS: "- command: cat /checkout/stray.txt\n"},
            f"{TASKS}: names stray.txt by its absolute path in this checkout",
            id="a file of the checkout by its absolute path",
        ),
    ],
)
def test_what_can_not_be_derived_is_told(changes: dict[str, str | None], told: str) -> None:
    assert problems_of(changes) == (told,)


@pytest.mark.parametrize("link", [TASKS, "roles/common", "roles", BASE, "ansible.cfg"])
def test_links_are_refused(link: str) -> None:
    told = problems_of({}, links=frozenset({link}))
    assert told
    assert all("symbolic link" in line for line in told)


def test_links_on_disk_are_seen(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    (project / "roles/common/files").symlink_to(project / "roles/web")
    (project / "roles/web/tasks/more.yml").symlink_to(project / "stray.txt")
    with pytest.raises(ConfigError) as caught:
        load_graph(project)
    assert caught.value.problems == (
        "packer/images.yaml: classes.base: roles/common/files: is or lies behind a symbolic link",
        "packer/images.yaml: classes.api: roles/web/tasks/more.yml: is or lies behind a symbolic link",
    )


# -- the key


def key_of(tree: MemoryTree, foundation: str = "debian-12") -> str:
    return bake_key(derive(tree, BASE, {"requirements.lock#ansible": b"ansible==1"})[0], foundation)


BEFORE = tree_with()
KEY = key_of(BEFORE)
OUTSIDE = sorted(FILES.keys() - OF_BASE)


@given(path=st.sampled_from(sorted(OF_BASE)), data=st.data())
def test_any_change_of_a_byte_in_the_closure_changes_the_key(path: str, data: st.DataObject) -> None:
    content = bytearray(BEFORE.contents[path])
    # Comments, so that what the file names stays the same.
    content += b"\n# " + data.draw(st.binary(min_size=1, max_size=20).map(lambda some: some.hex().encode()))
    assert key_of(MemoryTree({**BEFORE.contents, path: bytes(content)})) != KEY


@given(path=st.sampled_from(sorted(OF_BASE)))
def test_being_executable_changes_the_key(path: str) -> None:
    assert key_of(MemoryTree(BEFORE.contents, frozenset({path}))) != KEY


@given(
    name=st.text("abcdefgh/", min_size=1).filter(lambda name: not name.startswith("/") and "//" not in name)
)
def test_a_new_file_of_a_role_changes_the_key(name: str) -> None:
    path = f"roles/common/files/{name}"
    assert key_of(MemoryTree({**BEFORE.contents, path: b""})) != KEY


def test_another_name_of_a_file_changes_the_key() -> None:
    contents = {**BEFORE.contents, "roles/common/files/a": b"x"}
    renamed = {**BEFORE.contents, "roles/common/files/b": b"x"}
    assert key_of(MemoryTree(contents)) != key_of(MemoryTree(renamed))


@given(path=st.sampled_from(OUTSIDE), content=st.binary())
def test_changes_outside_of_the_closure_do_not_change_the_key(path: str, content: bytes) -> None:
    changed = MemoryTree({**BEFORE.contents, path: content}, frozenset({path}))
    assert key_of(changed) == KEY


@given(order=st.permutations(sorted(FILES)))
def test_the_order_of_files_does_not_change_the_key(order: list[str]) -> None:
    assert key_of(MemoryTree({path: BEFORE.contents[path] for path in order})) == KEY


def test_facts_and_the_foundation_change_the_key() -> None:
    files = derive(BEFORE, BASE, {"requirements.lock#ansible": b"ansible==2"})[0]
    assert len({KEY, bake_key(files, "debian-12"), key_of(BEFORE, "debian-13")}) == 3


@given(files=st.dictionaries(st.text(), st.text(), min_size=1), foundation=st.text())
def test_a_key_is_32_hex_digits_and_depends_on_where_names_end(
    files: dict[str, str], foundation: str
) -> None:
    key = bake_key(files, foundation)
    assert re.fullmatch("[0-9a-f]{32}", key)
    path, print_ = next(iter(files.items()))
    shifted = {**files, f"{path}{print_}": ""}
    del shifted[path]
    if shifted != files:
        assert bake_key(shifted, foundation) != key


@given(
    old=st.dictionaries(st.text(max_size=2), st.text(max_size=1)),
    new=st.dictionaries(st.text(max_size=2), st.text(max_size=1)),
)
def test_changes_lead_from_the_old_files_to_the_new(old: dict[str, str], new: dict[str, str]) -> None:
    changes = changed_files(old, new)
    patched = {path: value for path, value in old.items() if path not in changes.removed}
    assert not set(changes.added) & old.keys()
    assert all(old[path] != new[path] for path in changes.changed)
    patched |= {path: new[path] for path in (*changes.added, *changes.changed)}
    assert patched == new
    assert (changes == Changes((), (), ())) == (old == new)


# -- staging


def test_only_the_closure_is_staged(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    (project / TASKS).chmod(0o700)
    files = closure(project, load_graph(project).classes["base"])
    target = tmp_path / "run" / "context"
    stage(project, files, target)
    staged = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert staged == OF_BASE
    assert all((target / path).read_bytes() == (project / path).read_bytes() for path in staged)
    assert os.access(target / TASKS, os.X_OK)
    assert target.stat().st_mode & 0o777 == 0o700


def test_a_file_that_changes_meanwhile_is_not_staged(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    files = closure(project, load_graph(project).classes["base"])
    (project / TASKS).write_text("[]\n")
    with pytest.raises(Refused, match="changed while the bake began"):
        stage(project, files, tmp_path / "context")


def test_the_fingerprint_on_disk_is_that_of_the_content(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    (project / TASKS).chmod(0o755)
    files, _ = derive(ProjectTree(project), BASE, {})
    assert files[TASKS] == fingerprint((project / TASKS).read_bytes(), is_executable=True)
    assert files[TASKS].endswith("+x")


READS_A_STRAY_FILE = """
- hosts: all
  gather_facts: false
  roles: [common]
  tasks:
    - ansible.builtin.debug:
        msg: "{{ lookup('ansible.builtin.file', playbook_dir + '/../../stray.txt') }}"
"""


def run_playbook(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ansible-playbook")
    home = {"HOME": str(folder), "PATH": os.defpath, "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}
    argv = [program, "--connection", "local", "--inventory", "here,", BASE]
    return subprocess.run(argv, cwd=folder, env=home, capture_output=True, text=True, check=False)


def test_a_bake_that_reads_a_file_outside_of_its_closure_fails(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {BASE: READS_A_STRAY_FILE})
    context = tmp_path / "context"
    stage(project, closure(project, load_graph(project).classes["base"]), context)
    in_the_checkout, staged = run_playbook(project), run_playbook(context)
    assert in_the_checkout.returncode == 0, in_the_checkout.stdout
    assert staged.returncode != 0
    assert "stray.txt" in staged.stdout + staged.stderr
