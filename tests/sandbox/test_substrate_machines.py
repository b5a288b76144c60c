# SPDX-License-Identifier: Apache-2.0
"""Real machines: how they boot, what they see and may not do, how they end, and what is saved of them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.machines.host import HostSubstrate
from sandbox.substrate import MachineSpec, PowerState, SubstrateError
from tests.sandbox.inside_services import InsideServices, Subject
from tests.sandbox.networks import machine, vpc

pytestmark = pytest.mark.sandbox

AMI = "ami-public"
ENVIRONMENT = {"AWS_ENDPOINT_URL": "http://198.18.0.1:4566", "AWS_DEFAULT_REGION": "eu-west-1"}
ENDPOINT_FILE = "/etc/endpoint"
USER_DATA = f"""\
#cloud-config
runcmd:
  - [sh, -c, 'echo "$AWS_ENDPOINT_URL" > {ENDPOINT_FILE}']
"""
# What `nft delete table` asks of the kernel; nft itself is not in the image.
_DELETE_FIREWALL = """
import os, socket, struct
made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
made.send(struct.pack("=IHHIIBBH", 20, 0x0A02, 5, 0, 0, 0, 0, 0))
error = -struct.unpack_from("=i", made.recv(64), 16)[0]
raise SystemExit(os.strerror(error) if error else 0)
"""
BOOT_S = 60.0
SSH_OPTIONS = (
    "BatchMode=yes", "ConnectTimeout=3", "LogLevel=ERROR", "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
)  # fmt: skip


@dataclass
class Lab:
    """A VPC with machines and the services they boot with."""

    substrate: HostSubstrate
    services: InsideServices
    key: Path

    def public_address(self, number: int) -> str:
        """Return the public address of machine `number`."""
        return str(self.substrate.addresses.pool[number])

    def place(self, *numbers: int) -> None:
        """Give machines their places: machine 1 is i-1 at 10.0.1.101."""
        attached = [machine(str(n), f"10.0.1.{100 + n}", public=self.public_address(n)) for n in numbers]
        self.substrate.apply_network((vpc(*attached),))

    def launch(self, number: int, ami_id: str = AMI) -> None:
        """Start a machine and wait until it has booted."""
        instance_id, address = f"i-{number}", f"10.0.1.{100 + number}"
        public_key = self.key.with_suffix(".pub").read_text().strip()
        self.services.subjects[address] = Subject(instance_id, public_key, USER_DATA)
        hostname = f"ip-{address.replace('.', '-')}"
        self.substrate.run(MachineSpec(instance_id, ami_id, hostname, environment=ENVIRONMENT))
        self.wait_for_login(number)
        self.ssh(number, "sudo cloud-init status --wait")

    def wait_for_login(self, number: int) -> None:
        """Wait until the machine lets the key in."""
        wait_until(lambda: self._ssh(number, "true").returncode == 0, f"login to machine {number}")

    def ssh(self, number: int, command: str) -> str:
        """Run a command and return its output."""
        done = self._ssh(number, command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def end(self, number: int, command: str) -> PowerState:
        """Run a command that ends the machine, and return how the host sees it then."""
        self._ssh(number, command)
        wait_until(lambda: self.power(number) is not PowerState.RUNNING, "the machine's end")
        return self.power(number)

    def power(self, number: int) -> PowerState:
        """Return the machine's power state."""
        return self.substrate.observe()[f"i-{number}"]

    def _ssh(self, number: int, command: str) -> subprocess.CompletedProcess[str]:
        options = [part for option in SSH_OPTIONS for part in ("-o", option)]
        target = f"admin@{self.public_address(number)}"
        return subprocess.run(
            ["ssh", "-i", str(self.key), *options, target, command],
            capture_output=True, text=True, timeout=BOOT_S, check=False,
        )  # fmt: skip


def wait_until(is_done: Callable[[], bool], what: str) -> None:
    """Wait with a limit."""
    deadline = time.monotonic() + BOOT_S
    while not is_done():
        assert time.monotonic() < deadline, f"no {what} within {BOOT_S} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def lab(substrate: HostSubstrate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Machine 1 runs and stays as it is; other numbers are a test's own."""
    key = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    services = InsideServices()
    made = Lab(substrate, services, key)
    substrate.install_public_image(AMI)
    made.place(1, 2, 3)
    services.serve(substrate, "vpc-1")
    try:
        made.launch(1)
        yield made
    finally:
        services.close()


def test_machine_boots_with_no_failed_unit(lab: Lab) -> None:
    assert lab.ssh(1, "sudo systemctl is-system-running --wait") == "running"
    assert lab.ssh(1, "systemctl --failed --no-legend --plain") == ""
    # A mount job of systemd's may wait for ever; there must be none.
    assert lab.ssh(1, "systemctl is-enabled sys-kernel-debug.mount || true") == "masked-runtime"


def test_machine_is_what_it_was_told_to_be(lab: Lab) -> None:
    assert lab.ssh(1, "hostname") == "ip-10-0-1-101"
    assert lab.ssh(1, "hostname --all-ip-addresses") == "10.0.1.101"
    assert lab.ssh(1, "cat /etc/resolv.conf") == "nameserver 169.254.169.253"
    assert "10.0.1.101" in lab.services.callers
    assert "unable to resolve host" not in lab.ssh(1, "sudo true 2>&1")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("env", id="ssh-command"),
        pytest.param("bash --login -c env", id="login-shell"),
        pytest.param("sudo systemd-run --quiet --pipe --wait env", id="service"),
        pytest.param("systemctl --user show-environment", id="user-service"),
        pytest.param("sudo --preserve-env env", id="sudo-preserving"),
    ],
)
def test_environment_is_seen(lab: Lab, command: str) -> None:
    seen = dict(line.split("=", 1) for line in lab.ssh(1, command).splitlines() if "=" in line)
    assert {name: seen.get(name) for name in ENVIRONMENT} == ENVIRONMENT


def test_environment_is_seen_by_user_data(lab: Lab) -> None:
    assert lab.ssh(1, f"cat {ENDPOINT_FILE}") == ENVIRONMENT["AWS_ENDPOINT_URL"]


@pytest.mark.parametrize(
    "command",
    [
        "ip link set dev eth0 down",
        "ip addr add 10.0.1.77/24 dev eth0",
        "ip route add 198.51.100.0/24 dev eth0",
        "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
        "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)'",
        pytest.param(f"python3 -c '{_DELETE_FIREWALL}'", id="delete firewall"),
        "unshare --net true",
        "mount -t tmpfs none /mnt",
        "sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'",
    ],
)
def test_root_can_not_touch_the_network(lab: Lab, command: str) -> None:
    with pytest.raises(AssertionError, match="permitted|denied|Read-only"):
        lab.ssh(1, f"sudo {command}")


def test_root_can_ping_and_see_who_listens(lab: Lab) -> None:
    assert "1 received" in lab.ssh(1, "ping -c 1 -W 2 10.0.1.1")
    assert "sshd" in lab.ssh(1, "sudo ss --tcp --listening --processes")


def test_console_tells_of_the_boot(lab: Lab) -> None:
    wait_until(lambda: "login:" in lab.substrate.console("i-1"), "a login prompt on the console")
    assert "Cloud-init" in lab.substrate.console("i-1")


def test_memory_of_an_idle_machine_is_told(lab: Lab) -> None:
    used = lab.substrate.memory_bytes()["i-1"]
    assert 5 << 20 < used < 200 << 20


def test_cpu_time_grows_with_what_a_machine_does(lab: Lab) -> None:
    before = lab.substrate.cpu_seconds()["i-1"]
    lab.ssh(1, "timeout 2 sh -c 'while :; do :; done'; true")
    assert lab.substrate.cpu_seconds()["i-1"] - before > 0.5


def test_disk_stays_over_stop_start_and_reboot(lab: Lab) -> None:
    lab.launch(2)
    lab.ssh(2, "echo kept > kept; sync")
    host_key = lab.ssh(2, "cat /etc/ssh/ssh_host_ed25519_key.pub")
    lab.substrate.stop("i-2")
    assert lab.power(2) is PowerState.POWERED_OFF
    lab.substrate.start("i-2")
    lab.wait_for_login(2)
    lab.substrate.reboot("i-2")
    lab.wait_for_login(2)
    assert lab.ssh(2, "cat kept") == "kept"
    assert lab.ssh(2, "cat /etc/ssh/ssh_host_ed25519_key.pub") == host_key
    lab.substrate.destroy("i-2")
    lab.substrate.destroy("i-2")
    assert "i-2" not in lab.substrate.observe()


def test_ends_are_told_apart(lab: Lab) -> None:
    lab.launch(2)
    assert lab.end(2, "sudo systemctl reboot") is PowerState.REBOOTING
    lab.substrate.start("i-2")
    lab.wait_for_login(2)
    assert lab.end(2, "sudo systemctl poweroff") is PowerState.POWERED_OFF
    lab.substrate.start("i-2")
    lab.wait_for_login(2)
    listed = subprocess.run(
        ["podman", "inspect", "--format", "{{.State.Pid}}", lab.substrate.names.container("i-2")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    subprocess.run(["kill", "-KILL", listed.stdout.strip()], check=True)
    wait_until(lambda: lab.power(2) is not PowerState.RUNNING, "the machine's end")
    assert lab.power(2) is PowerState.KILLED
    lab.substrate.start("i-2")
    lab.wait_for_login(2)
    lab.substrate.stop("i-2", force=True)
    assert lab.power(2) is not PowerState.RUNNING
    lab.substrate.destroy("i-2")


def test_image_has_the_disk_and_nothing_of_the_machine_or_the_host(lab: Lab) -> None:
    lab.launch(2)
    lab.ssh(2, "sudo touch /etc/marker")
    old_key = lab.ssh(2, "cat /etc/ssh/ssh_host_ed25519_key.pub")
    lab.substrate.capture("i-2", "ami-captured")
    lab.substrate.copy_image("ami-captured", "ami-copied")
    lab.substrate.remove_image("ami-captured")
    lab.substrate.destroy("i-2")
    assert lab.substrate.images() == ("ami-copied", AMI)
    lab.launch(3, "ami-copied")
    lab.substrate.remove_image("ami-copied")
    assert lab.ssh(3, "ls /etc/marker") == "/etc/marker"
    assert lab.ssh(3, "cat /etc/ssh/ssh_host_ed25519_key.pub") != old_key
    assert lab.ssh(3, "cat /etc/resolv.conf") == "nameserver 169.254.169.253"
    assert lab.ssh(3, "sudo systemctl is-system-running --wait") == "running"
    grep = "sudo grep -rlF 198.18.0.1:4566 / --include=* -s --one-file-system || true"
    assert set(lab.ssh(3, grep).splitlines()) <= {ENDPOINT_FILE}
    lab.substrate.destroy("i-3")
    assert lab.substrate.images() == (AMI,)


def test_layers_of_removed_images_go_with_their_last_machine(lab: Lab) -> None:
    lab.substrate.capture("i-1", "ami-short")
    lab.substrate.remove_image("ami-short")
    label = f"label={lab.substrate.names.checkout_label}"
    listed = subprocess.run(
        ["podman", "images", "--all", "--format", "json", "--filter", label],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(listed.stdout) == []


@pytest.mark.parametrize(
    ("instance_id", "ami_id", "reason"),
    [
        pytest.param("i-2", "ami-unknown", "ami-unknown", id="no-image"),
        pytest.param("i-9", AMI, "no place in the network", id="no-place"),
    ],
)
def test_machine_that_can_not_start_leaves_nothing(
    lab: Lab, instance_id: str, ami_id: str, reason: str
) -> None:
    with pytest.raises(SubstrateError, match=reason):
        lab.substrate.run(MachineSpec(instance_id, ami_id, "host"))
    assert instance_id not in lab.substrate.observe()
    assert not lab.substrate.names.facts_dir(instance_id).exists()


def test_destroying_all_needs_no_state(lab: Lab, empty_substrate: HostSubstrate) -> None:
    """The daemon was killed with SIGKILL and its directory removed: names and labels are enough."""
    empty_substrate.install_public_image(AMI)
    address = str(empty_substrate.addresses.pool[1])
    empty_substrate.apply_network((vpc(machine("1", "10.0.1.101", public=address)),))
    empty_substrate.run(MachineSpec("i-1", AMI, "host"))
    stranger = HostSubstrate(empty_substrate.names)
    stranger.destroy_all(images=True)
    assert stranger.observe() == {}
    assert stranger.images() == ()
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert empty_substrate.names.container("i-1") not in processes
    assert str(empty_substrate.names.state_dir) not in Path("/proc/mounts").read_text()
    lab.ssh(1, "true")  # a region beside it is left alone


def test_starting_what_runs_is_harmless_and_what_is_gone_is_an_error(lab: Lab) -> None:
    lab.substrate.start("i-1")
    assert lab.power(1) is PowerState.RUNNING
    with pytest.raises(SubstrateError, match="start machine i-gone"):
        lab.substrate.start("i-gone")
    assert lab.substrate.console("i-gone") == ""
