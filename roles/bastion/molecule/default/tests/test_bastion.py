# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `bastion`: it passes ssh on, and nothing else."""

from collections.abc import Iterator

import pytest
from testinfra.host import Host

CLIENT = (
    "ssh -i /home/jumper/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=INFO"
)


@pytest.fixture(name="jumper")
def one_who_may_log_in(host: Host) -> Iterator[str]:
    """Yield the client's command line for an account with a key, from the bastion to itself."""
    make_key = (
        'ssh-keygen -q -t ed25519 -N "" -f ~/key && mkdir ~/.ssh && cp ~/key.pub ~/.ssh/authorized_keys'
    )
    host.check_output("useradd --create-home --shell /bin/sh jumper")
    host.check_output(f"su jumper -c '{make_key}'")
    yield f"su jumper -c '{CLIENT} %s jumper@127.0.0.1'"
    host.run("userdel --remove jumper")


def test_ssh_of_another_machine_is_reached(host: Host, jumper: str) -> None:
    assert host.run(f"timeout 10 {jumper % '-W 127.0.0.1:22'} </dev/null").stdout.startswith("SSH-2.0-")


def test_any_other_port_is_refused(host: Host, jumper: str) -> None:
    refused = host.run(f"timeout 10 {jumper % '-W 127.0.0.1:3306'} </dev/null")
    assert (refused.rc, "administratively prohibited" in refused.stderr) == (255, True)


def test_nothing_listens_on_the_bastion_for_a_client(host: Host, jumper: str) -> None:
    refused = host.run(
        f"timeout 10 {jumper % '-N -o ExitOnForwardFailure=yes -R 9000:127.0.0.1:22'} </dev/null"
    )
    assert (refused.rc, "forwarding failed" in refused.stderr) == (255, True)


def test_agents_and_sockets_stay_outside(host: Host) -> None:
    settings = dict(line.split(" ", 1) for line in host.check_output("sshd -T").splitlines() if " " in line)
    assert [settings[name] for name in ("allowagentforwarding", "allowstreamlocalforwarding")] == ["no", "no"]
