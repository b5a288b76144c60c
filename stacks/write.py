# SPDX-License-Identifier: Apache-2.0
"""Write every template of the project to a folder, for linters: `python -m stacks.write FOLDER`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from stacks.architecture import environment_stacks, network_stacks
from stacks.project import environment_inputs, environment_names, network_inputs, network_names
from stacks.stack import Stack

# Where code goes whose key is known only once it is built.
FUNCTION_KEYS = {"image_variants": "functions/image_variants.zip"}


def all_stacks(project: Path) -> Iterator[Stack]:
    """Give the stacks of all networks and environments of a project."""
    for name in network_names(project):
        yield from network_stacks(network_inputs(project, name))
    for name in environment_names(project):
        yield from environment_stacks(environment_inputs(project, name, FUNCTION_KEYS))


def write(project: Path, folder: Path) -> None:
    """Write all templates, and leave nothing else in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for stack in all_stacks(project):
        (folder / f"{stack.name}.json").write_text(stack.body(), "utf-8")


if __name__ == "__main__":
    write(Path.cwd(), Path(sys.argv[1]))
