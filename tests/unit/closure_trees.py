# SPDX-License-Identifier: Apache-2.0
"""A small project in memory and on disk, to derive closures from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from orchestrator.domain.closure import BadDocument

FILES: Mapping[str, str] = {
    "ansible.cfg": "[defaults]\nroles_path = roles\n",
    "packer/image.pkr.hcl": "# template\n",
    "packer/plugins.pkr.hcl": "# plugins\n",
    "requirements.lock": "ansible==12.3.0 \\\n    --hash=x\nansible-core==2.19.14 \\\nmitogen==0.3.54 \\\n",
    "playbooks/images/base.yml": "- hosts: all\n  roles: [common]\n",
    "playbooks/images/api.yml": "- hosts: all\n  roles:\n    - role: web\n",
    "roles/common/tasks/main.yml": "- ansible.builtin.import_tasks: more.yml\n",
    "roles/common/tasks/more.yml": "- ansible.builtin.debug:\n",
    "roles/common/README.md": "# common\n",
    "roles/common/molecule/default/molecule.yml": "{}\n",
    "roles/web/tasks/main.yml": "- ansible.builtin.template: {src: site.j2, dest: /x}\n",
    "roles/web/templates/site.j2": "{{ x }}\n",
    "roles/other/tasks/main.yml": "[]\n",
    "stray.txt": "stray\n",
}
IMAGES = {
    "classes": {
        "base": {
            "source": {"owner": "136693071363", "name": "debian-12-amd64-*"},
            "playbook": "playbooks/images/base.yml",
        },
        "api": {"parent": "base", "playbook": "playbooks/images/api.yml"},
    }
}


@dataclass
class MemoryTree:
    """Files in memory."""

    contents: Mapping[str, bytes]
    executables: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    root: str = field(default="/checkout")

    def read(self, path: str) -> bytes:
        return self.contents[path]

    def document(self, path: str) -> object:
        try:
            return yaml.safe_load(self.contents[path])
        except yaml.YAMLError as exc:
            raise BadDocument("no YAML") from exc

    def files(self, folder: str) -> tuple[str, ...]:
        return tuple(sorted(path for path in self.contents if path.startswith(f"{folder}/")))

    def is_file(self, path: str) -> bool:
        return path in self.contents

    def is_executable(self, path: str) -> bool:
        return path in self.executables

    def has_link(self, path: str) -> bool:
        return any(path == link or path.startswith(f"{link}/") for link in self.links)


def tree_with(changes: Mapping[str, str | None] | None = None, **options: frozenset[str]) -> MemoryTree:
    """Return the small project with changed files; None removes one."""
    texts = {**FILES, **(changes or {})}
    return MemoryTree({path: text.encode() for path, text in texts.items() if text is not None}, **options)


def write_project(folder: Path, changes: Mapping[str, str | None] | None = None) -> Path:
    """Write the small project to disk."""
    texts = {"packer/images.yaml": yaml.safe_dump(IMAGES, sort_keys=False), **FILES, **(changes or {})}
    for path, text in texts.items():
        if text is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    return folder
