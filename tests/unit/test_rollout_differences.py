# SPDX-License-Identifier: Apache-2.0
"""How two images differ, as lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from orchestrator.domain.manifest import Contents, FileFact, Manifest
from orchestrator.domain.rollout.differences import difference_lines

_OLD = Manifest(
    class_name="api",
    bake_key="a" * 16,
    image_name="api-old",
    ami_id="ami-1",
    parent="ami-0",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    inputs={"roles/api/tasks/main.yml": "1"},
    contents=Contents(
        packages={"nginx": "1.22", "gone": "1"},
        files={"/etc/motd": FileFact("a", "0644", "root:root")},
        units={"nginx.service": "enabled"},
        ports=("tcp 0.0.0.0:22 sshd",),
        kernel="6.1.0-20",
    ),
)


def test_every_kind_says_what_came_went_and_changed() -> None:
    new = replace(
        _OLD,
        contents=Contents(
            packages={"nginx": "1.24", "come": "2"},
            files={"/etc/motd": FileFact("b", "0644", "root:root")},
            units={"nginx.service": "masked"},
            ports=("tcp 0.0.0.0:22 sshd", "tcp 0.0.0.0:8080 api"),
            users={"api": "999:999 /srv/api"},
            kernel="6.1.0-21",
        ),
        inputs={"roles/api/tasks/main.yml": "2"},
    )
    assert difference_lines(_OLD, new) == (
        "kernel: 6.1.0-20 -> 6.1.0-21",
        "packages: nginx 1.22 -> 1.24",
        "packages: + come 2",
        "packages: - gone 1",
        "units: nginx.service enabled -> masked",
        "ports: + tcp 0.0.0.0:8080 api",
        "users: + api 999:999 /srv/api",
        "files: /etc/motd changed",
        "inputs: roles/api/tasks/main.yml changed",
    )


def test_the_same_contents_differ_in_nothing() -> None:
    assert difference_lines(_OLD, replace(_OLD, ami_id="ami-2")) == ()
