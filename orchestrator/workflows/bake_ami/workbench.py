# SPDX-License-Identifier: Apache-2.0
"""What one bake of one class needs around it: a temporary key, a group that admits one address, a folder.

Every resource carries the run's tags from the moment it exists, so that `invoke gc` finds it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from orchestrator.domain.image import CLASS_TAG, EXPIRES_TAG, RUN_TAG
from orchestrator.ports import Subnet
from orchestrator.workflows.world import World

# The builder's user data: its one host key is made here, so that its first connection is verified too.
HOST_KEY_USER_DATA = """#cloud-config
ssh_deletekeys: true
ssh_genkeytypes: []
ssh_keys:
  ed25519_public: {public}
  ed25519_private: |
{private}
"""


@dataclass(frozen=True, slots=True)
class Workbench:
    """The surroundings of one bake."""

    folder: Path
    private_key: Path
    public_key: str
    key_name: str
    security_group_id: str
    subnet: Subnet
    user_data: Path
    known_hosts: Path
    tags: Mapping[str, str]


@contextmanager
def workbench(world: World, class_name: str, *, subnet: Subnet, operator_cidr: str) -> Iterator[Workbench]:
    """Set up the surroundings of a bake, and take them down again, last first, whatever happens."""
    name = f"slipway-{world.run_id}-{class_name}"
    tags = run_tags(world, class_name)
    folder = world.runs_folder / world.run_id / class_name
    with ExitStack() as undo:
        _make(folder)
        undo.callback(_remove, folder)
        private_key, public_key = world.keys.make(folder, "operator")
        user_data, known_hosts = _host_key(world, folder)
        undo.callback(world.machines.delete_key, name)
        world.machines.import_key(name, public_key, tags)
        group_id = world.machines.create_security_group(
            name, subnet.vpc_id, ssh_from=operator_cidr, tags=tags
        )
        undo.callback(world.machines.delete_security_group, group_id)
        yield Workbench(
            folder=folder,
            private_key=private_key,
            public_key=public_key,
            key_name=name,
            security_group_id=group_id,
            subnet=subnet,
            user_data=user_data,
            known_hosts=known_hosts,
            tags=tags,
        )


def _make(folder: Path) -> None:
    while not folder.is_dir():
        # Another class of the run, ending now, may remove the run's folder just before ours is made in it.
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, mode=0o700)


def _remove(folder: Path) -> None:
    """Remove the folder, and the run's with it unless another class still works there."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def run_tags(world: World, class_name: str) -> dict[str, str]:
    """Return the tags of everything temporary."""
    expires = world.clock.now() + timedelta(minutes=world.environment.bake.timeout_minutes)
    return {
        RUN_TAG: world.run_id,
        CLASS_TAG: class_name,
        EXPIRES_TAG: f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        "Name": f"bake-{class_name}",
    }


def _host_key(world: World, folder: Path) -> tuple[Path, Path]:
    private_key, public_key = world.keys.make(folder, "host")
    user_data = folder / "user-data"
    indented = "".join(f"    {line}\n" for line in private_key.read_text().splitlines())
    user_data.touch(mode=0o600)
    user_data.write_text(HOST_KEY_USER_DATA.format(public=public_key, private=indented))
    known_hosts = folder / "known_hosts"
    # The address is not known before the machine is; the folder serves this one machine only.
    known_hosts.write_text(f"* {public_key}\n")
    return user_data, known_hosts
