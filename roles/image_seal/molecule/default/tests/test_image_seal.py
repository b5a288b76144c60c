# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `image_seal`: the traces of prepare.yml are gone, no more."""

import pytest
from testinfra.host import Host

TRACES = (
    "/etc/ssh/ssh_host_ed25519_key",
    "/root/.ssh/authorized_keys",
    "/root/.ssh/id_ed25519",
    "/root/.bash_history",
    "/home/someone/.ansible",
    "/root/.aws",
    "/home/someone/.ssh/authorized_keys",
    "/home/someone/.bash_history",
    "/home/someone/.cache",
    "/var/lib/cloud/instances",
    "/var/lib/dhcp/dhclient.leases",
    "/var/log/app.log",
    "/var/log/journal/0",
    "/var/crash/core",
    "/tmp/left",
    "/var/tmp/left",
)


@pytest.mark.parametrize("path", TRACES)
def test_trace_is_gone(host: Host, path: str) -> None:
    assert not host.file(path).exists


def test_the_machine_id_is_empty_so_that_the_next_boot_makes_one(host: Host) -> None:
    assert host.file("/etc/machine-id").exists
    assert host.file("/etc/machine-id").size == 0


def test_package_lists_are_gone_and_known_to_be_old(host: Host) -> None:
    assert host.file("/var/lib/apt/lists").listdir() == []
    assert host.file("/var/lib/apt/lists").mtime.timestamp() == 0


def test_directories_that_services_need_are_kept(host: Host) -> None:
    assert host.file("/var/log/apt").is_directory
    assert host.file("/tmp").mode == 0o1777


def test_the_account_and_its_home_are_kept(host: Host) -> None:
    assert host.user("someone").exists
    assert host.file("/home/someone/.profile").exists
