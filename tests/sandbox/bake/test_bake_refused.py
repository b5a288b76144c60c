# SPDX-License-Identifier: Apache-2.0
"""Images that must not be published, and bakes that can't succeed: what is told, and that nothing is left."""

from __future__ import annotations

import pytest
import yaml

from tests.sandbox.bake.conftest import WRITE
from tests.sandbox.bake.holdings import Account, difference
from tests.sandbox.bake.project import Project

pytestmark = pytest.mark.sandbox

BROKEN_UNIT = """
- name: Install a service that fails
  ansible.builtin.copy:
    dest: /etc/systemd/system/frobnicator.service
    content: |
      [Service]
      Type=oneshot
      ExecStart=/bin/sh -c 'echo the flux is out of phase; exit 3'
      [Install]
      WantedBy=multi-user.target
    owner: root
    group: root
    mode: "0644"

- name: Enable it
  ansible.builtin.command:
    cmd: systemctl enable frobnicator.service
  changed_when: true
"""
TRACES = """
- name: Leave a private key
  ansible.builtin.command:
    cmd: ssh-keygen -q -t ed25519 -N '' -f /etc/left.key
    creates: /etc/left.key

- name: Leave a history
  ansible.builtin.copy:
    content: "mysql -p hunter2\\n"
    dest: /root/.bash_history
    owner: root
    group: root
    mode: "0600"
"""
PACKAGE = """
- name: Install what nobody offers
  ansible.builtin.apt:
    name: slipway-no-such-package
"""
STRAY_LOOKUP = """
- name: Write what the project says elsewhere
  ansible.builtin.copy:
    content: "{{ lookup('ansible.builtin.file', playbook_dir + '/../../docs/elsewhere.txt') }}"
    dest: /srv/written
    mode: "0644"
"""
STRAY_SOURCE = """
- name: Copy what the project has elsewhere
  ansible.builtin.copy:
    src: ../../../docs/{{ 'else' }}where.txt
    dest: /srv/written
    mode: "0644"
"""
NAMED_SOURCE = """
- name: Copy what the project has elsewhere
  ansible.builtin.copy:
    src: ../../../docs/elsewhere.txt
    dest: /srv/written
    mode: "0644"
"""


def test_a_unit_that_fails_at_boot(project: Project, account: Account) -> None:
    project.add_class("broken", BROKEN_UNIT)
    before = account.holdings()
    refused = project.bake("broken")
    error = refused.document
    assert (refused.status, error["error"], error["state"]) == (6, "BootTestFailed", "broken: failed")
    assert error["what"].startswith("boot test of broken ami-")
    lines = error["cause"].splitlines()
    assert lines[:2] == ["1 findings", "  | unit frobnicator.service: failed"]
    assert any("the flux is out of phase" in line for line in lines[2:])
    assert any("status=3" in line for line in lines[2:])
    assert difference(before, account.holdings()) == {}
    assert project.run_folders == []


def test_what_an_unsealed_image_carries_over(project: Project, account: Account) -> None:
    project.add_class("dirty", TRACES)
    (play,) = yaml.safe_load(project.read("playbooks/images/dirty.yml"))
    play["roles"] = [role for role in play["roles"] if role["role"] != "image_seal"]
    project.write("playbooks/images/dirty.yml", yaml.safe_dump([play]))
    before = account.holdings()
    refused = project.bake("dirty")
    error = refused.document
    assert (refused.status, error["error"]) == (6, "BootTestFailed")
    found = {line.removeprefix("  | hygiene ").partition(":")[0] for line in error["cause"].splitlines()[1:]}
    assert {"/etc/left.key", "/root/.bash_history"} <= found
    assert difference(before, account.holdings()) == {}


def test_a_private_key_that_sealing_does_not_know(project: Project, account: Account) -> None:
    project.add_class("keyed", TRACES)
    before = account.holdings()
    refused = project.bake("keyed")
    assert (refused.status, refused.document["cause"]) == (
        6,
        "1 findings\n  | hygiene /etc/left.key: "
        "a private key or credentials for everyone who can start the image",
    )
    assert difference(before, account.holdings()) == {}


def test_a_package_that_does_not_exist(project: Project, account: Account) -> None:
    project.add_class("lacking", PACKAGE)
    project.add_class("upon", WRITE, parent="lacking", files={"files/written": "upon\n"})
    before = account.holdings()
    refused = project.bake()
    error = refused.document
    assert (refused.status, error["error"]) == (6, "RemoteError")
    assert "task: do_lacking : Install what nobody offers" in error["cause"]
    assert "slipway-no-such-package" in error["cause"]
    assert error["state"] == "lacking: failed; upon: skipped, its parent failed"
    assert difference(before, account.holdings()) == {}
    assert project.run_folders == []


def test_a_file_that_no_name_leads_to_is_not_there(project: Project, account: Account) -> None:
    project.write("docs/elsewhere.txt", "elsewhere\n")
    project.add_class("stray", STRAY_LOOKUP)
    before = account.holdings()
    refused = project.bake("stray")
    assert refused.status == 6
    assert "docs/elsewhere.txt" in refused.document["cause"]
    assert difference(before, account.holdings()) == {}


def test_a_file_whose_name_can_not_be_told_is_refused_before_anything_is_called(project: Project) -> None:
    project.write("docs/elsewhere.txt", "elsewhere\n")
    project.add_class("stray", STRAY_SOURCE)
    refused = project.bake("stray", port=1)
    assert refused.status == 3
    assert refused.stderr.splitlines() == [
        "error: packer/images.yaml: classes.stray: roles/do_stray/tasks/main.yml: file "
        "../../../docs/{{ 'else' }}where.txt: can't be told before the bake",
        "state: nothing was called.",
    ]


def test_a_file_that_is_named_belongs_to_the_image(project: Project, account: Account) -> None:
    project.write("docs/elsewhere.txt", "elsewhere\n")
    project.add_class("named", NAMED_SOURCE)
    first = project.bake("named", options=["--dry-run"]).done()["classes"][0]["image_name"]
    project.write("docs/elsewhere.txt", "changed\n")
    assert project.bake("named", options=["--dry-run"]).done()["classes"][0]["image_name"] != first
