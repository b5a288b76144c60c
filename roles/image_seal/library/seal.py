#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: bring paths into the state that an image needs, then check every one of them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: seal
short_description: Bring paths into the state that an image needs, then check every one of them
description:
  - Removes or empties what each entry names. Files mounted over others are no part of the image.
  - Fails with the list of findings when something is not as it should be afterwards.
author:
  - The Slipway authors
options:
  paths:
    description: The entries, applied and checked in their order.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: A path or a shell pattern.
        type: str
        required: true
      sealed:
        description: How it is in the image; roles/image_seal/vars/main.yml explains the words.
        type: str
        required: true
        choices: [absent, blank, vacant, stale, no_files]
      booted:
        description: What a fresh machine's probe may ask; not used here.
        type: str
        choices: [same, renewed, any]
      why:
        description: What goes wrong otherwise; part of a finding.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Remove host keys and check that they are gone
  seal:
    paths:
      - path: /etc/ssh/ssh_host_*
        sealed: absent
        why: all machines would share them
"""

RETURN = r"""
removed:
  description: What was removed or emptied.
  type: list
  returned: always
findings:
  description: What is not as it should be, with the reason.
  type: list
  returned: always
"""

ENTRY = {
    "path": {"type": "str", "required": True},
    "sealed": {
        "type": "str",
        "required": True,
        "choices": ["absent", "blank", "vacant", "stale", "no_files"],
    },
    "booted": {"type": "str", "choices": ["same", "renewed", "any"]},
    "why": {"type": "str", "required": True},
}


def own_paths(tmpdir: str) -> list[Path]:
    """Return what this very run needs until it ends, and removes by itself."""
    return [Path(path).resolve() for path in (tmpdir, *sys.path, sys.argv[0]) if path.startswith("/")]


def is_needed(path: Path, needed: Iterable[Path]) -> bool:
    """Tell whether a path is or holds something this run needs."""
    return any(own.is_relative_to(path.resolve()) for own in needed)


def matching(pattern: str) -> list[Path]:
    """Return what matches a pattern and is part of the disk."""
    found = sorted(Path("/").glob(pattern.removeprefix("/")))
    return [path for path in found if not is_bound(path)]


def offenders(entry: dict[str, str], needed: Iterable[Path]) -> list[Path]:
    """Return the existing paths that stand against one entry, contents before the directory they are in."""
    matches, state = matching(entry["path"]), entry["sealed"]
    if state == "absent":
        found = matches
    elif state == "blank":
        found = [path for path in matches if path.stat().st_size]
    elif state == "no_files":
        found = [Path(base, name) for path in matches for base, _, names in os.walk(path) for name in names]
    else:
        found = [child for path in matches for child in sorted(path.iterdir())]
    if state == "stale":
        found += [path for path in matches if path.stat().st_mtime]
    return [path for path in found if not is_needed(path, needed)]


def is_bound(path: Path) -> bool:
    """Tell whether a file lies on another disk than its directory, as a container's /etc/hostname does."""
    return path.is_file() and path.lstat().st_dev != path.parent.stat().st_dev


def settle(path: Path, entry: dict[str, str]) -> None:
    """Remove one path; or empty it, or make it old, where the entry wants it to stay."""
    if entry["sealed"] == "blank":
        os.truncate(path, 0)
    elif entry["sealed"] == "stale" and path in matching(entry["path"]):
        os.utime(path, (0, 0))
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "dict", "required": True, "options": ENTRY}},
        supports_check_mode=True,
    )
    entries, needed, removed = module.params["paths"], own_paths(module.tmpdir), []
    for entry in entries:
        for path in offenders(entry, needed):
            removed.append(str(path))
            if not module.check_mode:
                settle(path, entry)
    left = (
        [] if module.check_mode else [(path, entry) for entry in entries for path in offenders(entry, needed)]
    )
    findings = [f"{path}: {entry['why']}" for path, entry in left]
    if findings:
        module.fail_json(
            msg=f"the image is not sealed: {'; '.join(findings)}", removed=removed, findings=findings
        )
    module.exit_json(changed=bool(removed), removed=removed, findings=findings)


if __name__ == "__main__":
    main()
