# SPDX-License-Identifier: Apache-2.0
"""A bastion, machines behind it and a target behind those: what a tunnel goes through, with real sshd.

The engine under test runs on this host and reaches the bastion by its public address. The target's members
have public addresses too, so that what a tunnel costs can be compared with no tunnel at all.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import MachineMissing
from orchestrator.ports.doors import Hop, Login, Route
from sandbox.machines.host import HostSubstrate
from sandbox.substrate import AttachedMachine, MachineSpec, Process
from tests.sandbox.networks import machine, vpc

PATIENCE_S = 60.0
DATABASE, STREAMS = "i-database", "i-streams"
DATABASE_PORT, STREAMS_PORT = 3306, 7000
USER = "door"
_DEBIAN, _HOP = "ami-debian", "ami-hop"
_TABLE = "slipway_test"
# What a hop's image adds to Debian's. cloud-init waits for a metadata service that nobody needs here, and
# logins shortly after the boot for logind.
_PREPARE = f"""
set -e
touch /etc/cloud/cloud-init.disabled
useradd --create-home --shell /bin/sh {USER}
mkdir -p /etc/systemd/system/ssh.service.d
printf '[Service]\\nExecStartPre=\\nExecStartPre=/usr/bin/ssh-keygen -A\\nExecStartPre=/usr/sbin/sshd -t\\n' \
    > /etc/systemd/system/ssh.service.d/keys.conf
sed -i /pam_systemd/d /etc/pam.d/common-session
touch /etc/ssh/revoked
cat > /etc/ssh/authority.pub
cat > /etc/ssh/sshd_config.d/door.conf <<END
TrustedUserCAKeys /etc/ssh/authority.pub
AuthorizedPrincipalsFile /etc/ssh/principals
RevokedKeys /etc/ssh/revoked
PasswordAuthentication no
MaxStartups 200
MaxSessions 1000
END
echo {USER} > /etc/ssh/principals
"""
T = TypeVar("T")


def until(look: Callable[[], T], is_right: Callable[[T], bool] = bool, *, limit_s: float = PATIENCE_S) -> T:
    """Look again and again until it is right, with a limit; return what was seen."""
    deadline = time.monotonic() + limit_s
    while not is_right(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {limit_s:g} s"
        time.sleep(0.02)
    return seen


@dataclass
class Chain:
    """The machines by name; names of hops are instance ids."""

    substrate: HostSubstrate
    folder: Path
    hops: dict[str, Hop] = field(default_factory=dict)
    _places: dict[str, AttachedMachine] = field(default_factory=dict)
    _given: int = 0
    _programs: list[Process] = field(default_factory=list)

    def make(self) -> None:
        """Make keys, the hops' image and the target's places."""
        for name in ("authority", "operator"):
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.folder / name))
        self.run(
            "ssh-keygen", "-q", "-s", str(self.folder / "authority"), "-I", "operator", "-n", USER,
            "-V", "+1d", str(self.folder / "operator.pub"),
        )  # fmt: skip
        self.substrate.install_public_image(_DEBIAN)
        for name in (DATABASE, STREAMS):
            self._place(name, "subnet-b")
        self._place("i-mould", "subnet-b")
        self.substrate.run(MachineSpec("i-mould", _DEBIAN, "mould"))
        self.inside("i-mould", _PREPARE, stdin=(self.folder / "authority.pub").read_text())
        self.substrate.capture("i-mould", _HOP)
        self.end("i-mould")

    def boot(self, *names: str) -> None:
        """Start hops with addresses and host keys of their own, and wait until they listen."""
        for name in names:
            self._place(name, "subnet-a" if "bastion" in name else "subnet-b")
            self.substrate.run(MachineSpec(name, _HOP, name))
        for name in names:
            until(lambda name=name: self.tries(name, "systemctl is-active ssh multi-user.target"))  # type: ignore[misc]
            self.learn(name)

    def learn(self, name: str) -> None:
        """Take over a machine's host keys, from the machine itself and not from the network."""
        place = self._places[name]
        address = place.public_address if "bastion" in name else place.private_address
        listing = self.inside(name, "cat /etc/ssh/ssh_host_*_key.pub")
        keys = tuple(" ".join(line.split()[:2]) for line in listing.splitlines())
        self.hops[name] = Hop(name, str(address), USER, keys)

    def end(self, name: str) -> None:
        """Destroy a machine at once, and its place in the network."""
        self.hops.pop(name, None)
        self._places.pop(name)
        self.substrate.destroy(name)
        self._apply()

    def replace(self, name: str, successor: str) -> None:
        """Destroy a machine, and start another one in its place."""
        self.end(name)
        self.boot(successor)

    def kill_sshd(self, name: str) -> None:
        """Kill sshd with all its sessions; systemd starts it again."""
        self.inside(name, "pkill -KILL -x sshd")

    def wait_for_sshd(self, name: str) -> None:
        """Return as soon as sshd is up; who killed it does not wait for systemd to start it again."""
        until(lambda: self.tries(name, "systemctl is-active --quiet ssh"))

    @contextlib.contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """Drop every packet of a machine, both ways; connections are not told."""
        hooks = "\n".join(
            f"chain {each} {{ type filter hook {each} priority -500; policy drop; }}"
            for each in ("input", "output")
        )
        self.at(name, "nft", f"table inet {_TABLE} {{\n{hooks}\n}}")
        try:
            yield
        finally:
            self.at(name, "nft", f"delete table inet {_TABLE}")

    @contextlib.contextmanager
    def full_log(self, name: str) -> Iterator[None]:
        """Leave no room where a machine's journal is. Its own disk is the host's, so it gets another."""
        pid = self.run(
            "podman", "inspect", "--format", "{{.State.Pid}}", self.substrate.names.container(name)
        )
        enter = ("nsenter", "--target", pid.strip(), "--mount", "--pid")
        self.inside(name, "mkdir -p /var/log/journal")
        self.run(*enter, "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", "/var/log/journal")
        try:
            self.inside(name, "systemctl restart systemd-journald && journalctl --flush")
            self.inside(name, "dd if=/dev/zero of=/var/log/journal/rest bs=4k 2>/dev/null; sync; true")
            assert self.inside(name, "df --output=avail /var/log/journal | tail -1") == "0"
            yield
        finally:
            self.run(*enter, "umount", "--lazy", "/var/log/journal")
            self.inside(name, "systemctl restart systemd-journald")

    def serve(self, name: str, argv: Sequence[str], *, port: int) -> None:
        """Run a program at a member of the target, from when it listens."""
        log = self.folder / f"{name}.log"
        program = self.substrate.serve(name, argv, user="haproxy", log=log)
        self._programs.append(program)
        address = self.public(name, port)

        def state() -> object:
            assert program.poll() is None, log.read_text()
            return _listens(address) or log.read_text()

        until(state, lambda seen: seen is True)

    def close(self) -> None:
        """Remove all of it."""
        for program in self._programs:
            program.kill()
            program.wait(5)
        self.substrate.destroy_all(images=True)

    def inside(self, name: str, command: str, *, stdin: str = "") -> str:
        """Run a command as root in a machine; return its output."""
        done = self._exec(name, command, stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def tries(self, name: str, command: str) -> bool:
        """Run a command as root in a machine; tell whether it succeeded."""
        return self._exec(name, command, "").returncode == 0

    def at(self, name: str, *argv: str) -> str:
        """Run a program of the host in a machine's network."""
        return self.run("ip", "netns", "exec", self.substrate.names.machine_namespace(name), *argv)

    def run(self, *argv: str) -> str:
        """Run a program of the host; return its output."""
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def private(self, name: str, port: int) -> tuple[str, int]:
        """Return where a member of the target listens, as machines know it."""
        return self._places[name].private_address, port

    def public(self, name: str, port: int) -> tuple[str, int]:
        """Return where this host reaches it with no tunnel."""
        return str(self._places[name].public_address), port

    def _place(self, name: str, subnet: str) -> None:
        self._given += 1
        network = 1 if subnet == "subnet-a" else 2
        public = str(self.substrate.addresses.pool[self._given])
        attached = machine(
            name.removeprefix("i-"), f"10.0.{network}.{10 + self._given}", subnet=subnet, public=public
        )
        self._places[name] = attached
        self._apply()

    def _apply(self) -> None:
        self.substrate.apply_network((vpc(*self._places.values(), other="gateway"),))

    def _exec(self, name: str, command: str, stdin: str) -> subprocess.CompletedProcess[str]:
        container = self.substrate.names.container(name)
        return subprocess.run(
            ["podman", "exec", "--interactive", container, "sh", "-c", command],
            input=stdin, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip


@dataclass
class ChainRoutes:
    """Finds ways as they are at the moment, the first machines by name first: `i-app-1` before `i-app-2`."""

    chain: Chain
    target: tuple[str, int]
    certificate: str = "operator-cert.pub"

    def find(self, *, avoid: frozenset[str] = frozenset()) -> tuple[Route, ...]:
        """Return the ways, those to avoid last."""
        hops = dict(sorted(self.chain.hops.items()))
        bastions = [hop for name, hop in hops.items() if "bastion" in name]
        others = [hop for name, hop in hops.items() if "bastion" not in name]
        found = [Route((first, second), self.target) for first in bastions for second in others]
        if not found:
            raise MachineMissing("test", "there is no way now")
        return tuple(sorted(found, key=lambda route: any(hop.name in avoid for hop in route.hops)))

    def login(self) -> Login:
        """Return the operator's key and certificate."""
        folder = self.chain.folder
        return Login((folder / "operator").read_text(), (folder / self.certificate).read_text())


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1.0).close()
    except OSError:
        return False
    return True
