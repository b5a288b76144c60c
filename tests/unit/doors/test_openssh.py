# SPDX-License-Identifier: Apache-2.0
"""What OpenSSH is called with and told, whole, and that it understands it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrator.ports import Hop
from orchestrator.tools import openssh

BASTION = Hop("i-b", "203.0.113.1", "admin", ("ssh-ed25519 QkFTVElPTg==", "ssh-rsa UlNB"))
API = Hop("i-1", "10.0.0.5", "admin", ("ssh-ed25519 QVBJ",))
WORKER = Hop("i-2", "10.0.0.6", "deploy", ("ssh-ed25519 V09SS0VS",), port=2222)
COMMON = """\
Host *
    UserKnownHostsFile {folder}/known_hosts
    IdentityFile {folder}/id
    CertificateFile {folder}/id-cert.pub
    IdentityAgent none
    BatchMode yes
    LogLevel VERBOSE
    StrictHostKeyChecking yes
    GlobalKnownHostsFile none
    UpdateHostKeys no
    CheckHostIP no
    VerifyHostKeyDNS no
    PreferredAuthentications publickey
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    IdentitiesOnly yes
    ForwardAgent no
    ForwardX11 no
    Ciphers ^aes128-gcm@openssh.com
    ConnectTimeout 10
    ServerAliveInterval 3
    ServerAliveCountMax 3
"""
THROUGH = """\
Host i-1
    HostName 10.0.0.5
    Port 22
    User admin
    HostKeyAlias i-1
    ProxyCommand ssh -F {folder}/config -E {folder}/i-1.log -W [%h]:%p i-b

Host i-2
    HostName 10.0.0.6
    Port 2222
    User deploy
    HostKeyAlias i-2
    ProxyCommand ssh -F {folder}/config -E {folder}/i-2.log -W [%h]:%p i-b

Host i-b
    HostName 203.0.113.1
    Port 22
    User admin
    HostKeyAlias i-b
    ControlPath {folder}/master

"""
DIRECT = """\
Host i-b
    HostName 203.0.113.1
    Port 22
    User admin
    HostKeyAlias i-b

"""


def understood(path: Path, host: str) -> dict[str, str]:
    """Return what OpenSSH makes of a configuration."""
    found = subprocess.run(["ssh", "-G", "-F", path, host], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in found.stdout.splitlines() if " " in line)


class TestFiles:
    def test_machines_are_reached_through_one_connection_to_the_bastion(self, tmp_path: Path) -> None:
        text = openssh.config(tmp_path, [API, WORKER], bastion=BASTION)
        assert text == (THROUGH + COMMON).format(folder=tmp_path)

    def test_a_bastion_is_reached_at_once(self, tmp_path: Path) -> None:
        assert openssh.config(tmp_path, [BASTION], bastion=None) == (DIRECT + COMMON).format(folder=tmp_path)

    def test_keys_are_pinned_to_ids_not_to_addresses(self) -> None:
        assert openssh.known_hosts([BASTION, API]) == (
            "i-b ssh-ed25519 QkFTVElPTg==\ni-b ssh-rsa UlNB\ni-1 ssh-ed25519 QVBJ\n"
        )

    def test_openssh_understands_it(self, tmp_path: Path) -> None:
        path = tmp_path / "config"
        path.write_text(openssh.config(tmp_path, [API, WORKER], bastion=BASTION), "utf-8")
        found = understood(path, "i-2")
        wanted = {
            "hostname": "10.0.0.6",
            "port": "2222",
            "user": "deploy",
            "hostkeyalias": "i-2",
            "stricthostkeychecking": "true",
            "userknownhostsfile": f"{tmp_path}/known_hosts",
            "globalknownhostsfile": "none",
            "updatehostkeys": "false",
            "identityfile": f"{tmp_path}/id",
            "certificatefile": f"{tmp_path}/id-cert.pub",
            "identityagent": "none",
            "identitiesonly": "yes",
            "forwardagent": "no",
            "passwordauthentication": "no",
            "kbdinteractiveauthentication": "no",
            "batchmode": "yes",
            "serveraliveinterval": "3",
            "serveralivecountmax": "3",
            "connecttimeout": "10",
        }
        assert {name: found.get(name) for name in wanted} == wanted
        assert found["ciphers"].split(",")[0] == "aes128-gcm@openssh.com"
        assert understood(path, "i-b")["controlpath"] == f"{tmp_path}/master"


class TestCalls:
    def test_the_bastion_is_kept_open(self) -> None:
        assert openssh.master_argv(Path("/f"), BASTION) == (
            *("ssh", "-F", "/f/config", "-E", "/f/i-b.log"),
            *("-M", "-N", "i-b"),
        )

    def test_a_shell_or_a_command_is_opened_on_a_machine(self) -> None:
        common = ("ssh", "-F", "/f/config", "-E", "/f/i-1.log")
        assert openssh.session_argv(Path("/f"), API) == (*common, "i-1")
        assert openssh.session_argv(Path("/f"), API, "-x; y") == (
            *common,
            *("-o", "LogLevel=ERROR", "-o", "IgnoreUnknown=LogVerbose"),
            *("-o", "LogVerbose=clientloop.c:server_alive_check():*,clientloop.c:client_loop():*"),
            *("i-1", "--", "-x; y"),
        )
