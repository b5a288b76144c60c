# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `ssh_server`."""

import pytest
from testinfra.host import Host


@pytest.fixture(name="settings")
def effective_settings(host: Host) -> dict[str, str]:
    """Return what the server really uses, by lower-case keyword."""
    return dict(line.split(" ", 1) for line in host.check_output("sshd -T").splitlines() if " " in line)


def test_only_keys_get_in(settings: dict[str, str]) -> None:
    names = (
        "passwordauthentication",
        "kbdinteractiveauthentication",
        "permitrootlogin",
        "authenticationmethods",
    )
    assert [settings[name] for name in names] == ["no", "no", "no", "publickey"]


def test_nothing_is_forwarded(settings: dict[str, str]) -> None:
    names = (
        "allowtcpforwarding",
        "allowagentforwarding",
        "allowstreamlocalforwarding",
        "x11forwarding",
        "permittunnel",
    )
    assert {settings[name] for name in names} == {"no"}
    assert settings["permitopen"] == "none"


def test_packer_and_a_cautious_client_find_common_ground(settings: dict[str, str]) -> None:
    assert "curve25519-sha256" in settings["kexalgorithms"].split(",")
    assert settings["kexalgorithms"].split(",")[0].startswith("sntrup761x25519-sha512")


def test_ansible_can_transfer_files(settings: dict[str, str]) -> None:
    assert settings["subsystem"] == "sftp /usr/lib/openssh/sftp-server"


def test_host_keys_are_made_by_the_machine(host: Host) -> None:
    keys = sorted(path.rsplit("/", 1)[1] for path in host.check_output("ls /etc/ssh/ssh_host_*_key").split())
    assert keys == ["ssh_host_ed25519_key", "ssh_host_rsa_key"]
    assert host.check_output("ssh-keygen -l -f /etc/ssh/ssh_host_rsa_key").split()[0] == "4096"


def test_a_machine_without_keys_makes_new_ones_and_keeps_those_it_has(host: Host) -> None:
    ed25519, rsa = "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/ssh/ssh_host_rsa_key.pub"
    before = {path: host.file(path).content_string for path in (ed25519, rsa)}
    host.check_output("rm /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_ed25519_key.pub")
    host.check_output("systemctl restart slipway-host-keys.service")
    assert host.file(ed25519).content_string != before[ed25519]
    assert host.file(rsa).content_string == before[rsa]
    assert host.file("/etc/ssh/ssh_host_ed25519_key").mode == 0o600


def test_cloud_init_makes_no_weaker_keys(host: Host) -> None:
    assert (
        "ssh_genkeytypes: [ed25519]"
        in host.file("/etc/cloud/cloud.cfg.d/50-slipway-ssh.cfg").content_string.splitlines()
    )


def test_weak_groups_are_gone(host: Host) -> None:
    sizes = {
        int(line.split()[4])
        for line in host.file("/etc/ssh/moduli").content_string.splitlines()
        if line[:1] != "#"
    }
    assert min(sizes) >= 3071


def test_the_server_runs_and_starts_at_boot(host: Host) -> None:
    assert host.service("ssh").is_running
    assert host.service("ssh").is_enabled
    assert host.service("slipway-host-keys").is_enabled
