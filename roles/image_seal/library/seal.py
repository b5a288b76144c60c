#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: bring paths into the state that an image needs, then check every one of them."""

from __future__ import annotations

import fnmatch
import glob
import os
import shutil
import sys

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: seal
short_description: Bring paths into the state that an image needs, then check every one of them
description:
  - Removes or empties what each entry names. Mount points are not part of the image and are passed over.
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
        description: How it is in the image.
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


def own_paths(tmpdir):
    """Return the directories that this very run needs until it ends, and removes by itself."""
    running = [tmpdir, *sys.path, os.path.abspath(sys.argv[0])]
    return [os.path.realpath(path) for path in running if path and os.path.isabs(path)]


def is_needed(path, needed):
    """Tell whether a path is, holds or lies in something this run needs."""
    real = os.path.realpath(path)
    return any(own == real or own.startswith(real + os.sep) for own in needed)


def offenders(entry, needed):
    """Return the existing paths that stand against one entry, contents before the directory they are in."""
    matches = [path for path in sorted(glob.glob(entry["path"])) if not os.path.ismount(path)]
    state = entry["sealed"]
    if state == "absent":
        found = matches
    elif state == "blank":
        found = [path for path in matches if os.path.getsize(path)]
    elif state == "no_files":
        found = [os.path.join(base, name) for path in matches for base, _, names in os.walk(path) for name in names]
    else:
        found = [os.path.join(path, name) for path in matches for name in sorted(os.listdir(path))]
    if state == "stale":
        found += [path for path in matches if os.stat(path).st_mtime]
    return [path for path in found if not is_needed(path, needed)]


def settle(path, entry):
    """Remove one path; or empty it, or make it old, where the entry wants it to stay."""
    if entry["sealed"] == "blank":
        os.truncate(path, 0)
    elif entry["sealed"] == "stale" and fnmatch.fnmatch(path, entry["path"]):
        os.utime(path, (0, 0))
    elif os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.remove(path)


def main():
    """Run the module."""
    spec = {
        "path": {"type": "str", "required": True},
        "sealed": {"type": "str", "required": True, "choices": ["absent", "blank", "vacant", "stale", "no_files"]},
        "booted": {"type": "str", "choices": ["same", "renewed", "any"]},
        "why": {"type": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "dict", "required": True, "options": spec}},
        supports_check_mode=True,
    )
    entries, needed, removed = module.params["paths"], own_paths(module.tmpdir), []
    for entry in entries:
        for path in offenders(entry, needed):
            removed.append(path)
            if not module.check_mode:
                settle(path, entry)
    findings = [] if module.check_mode else [
        "%s: %s" % (path, entry["why"]) for entry in entries for path in offenders(entry, needed)
    ]
    if findings:
        module.fail_json(msg="the image is not sealed: " + "; ".join(findings), removed=removed, findings=findings)
    module.exit_json(changed=bool(removed), removed=removed, findings=findings)


if __name__ == "__main__":
    main()
