# SPDX-License-Identifier: Apache-2.0
"""A thin wrapper of the podman command: argument lists in, plain values out. It decides nothing."""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import process
from sandbox.names import RegionNames
from sandbox.substrate import SubstrateError

# events_logger: the default journald may not be there; cgroup_manager and runtime: what every kernel's cgroup
# layout, hybrid included, can do.
_CONF = """\
[containers]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
"""
# A service manager, sshd, sudo and package installation; PTRACE so that root sees whose sockets and files
# are open; BOOT so that init's end tells poweroff from reboot. NET_ADMIN, NET_RAW and SYS_ADMIN would open
# the firewall.
CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_BOOT", "SYS_CHROOT", "SYS_PTRACE",
)  # fmt: skip
# Mounts that a container has already or can't make. systemd 252 puts off mount jobs while it sees many
# mounts, and may never take them up again, so that a boot hangs: systemd/systemd#20329 on GitHub. In a
# container init's arguments are its kernel command line: kernel-command-line(7), systemd-debug-generator(8).
_MASKED_MOUNTS = (
    "dev-hugepages.mount", "dev-mqueue.mount", "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
)  # fmt: skip
INIT = ("/sbin/init", *(f"systemd.mask={unit}" for unit in _MASKED_MOUNTS))
_OPEN_FILES = (1024, 65536)
_PROCESSES = (16384, 16384)
_START_TIMEOUT_S = 120
_COMMIT_TIMEOUT_S = 600
_GONE = ("no such container", "no container with name or ID")


@dataclass(frozen=True, slots=True)
class Container:
    """One line of `podman ps`."""

    instance_id: str
    container_id: str
    state: str
    exit_code: int
    pid: int
    has_started: bool


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """What a container is made with."""

    instance_id: str
    image: str
    hostname: str
    namespace: Path
    mounts: Mapping[Path, str]
    labels: Mapping[str, str]


class Podman:
    """podman for one region: its own configuration file, its own labels, the system's storage."""

    def __init__(self, names: RegionNames) -> None:
        self._names = names
        self._conf = names.state_dir / "containers.conf"

    def run(self, request: ContainerRequest) -> None:
        """Create a container and start it."""
        self._call(
            *run_arguments(self._names, request),
            action=f"start machine {request.instance_id}",
            timeout_s=_START_TIMEOUT_S,
        )

    def start(self, instance_id: str) -> None:
        """Start a container that ended; one that runs is left alone."""
        self._call(
            "start",
            self._name(instance_id),
            action=f"start machine {instance_id}",
            timeout_s=_START_TIMEOUT_S,
        )

    def signal(self, instance_id: str, signal: str) -> None:
        """Send a signal to the container's init."""
        self._call(
            "kill", "--signal", signal, self._name(instance_id), action=f"signal machine {instance_id}"
        )

    def wait(self, instance_id: str, *, timeout_s: float) -> None:
        """Wait for the container to end."""
        self._call(
            "wait", self._name(instance_id), action=f"wait for machine {instance_id}", timeout_s=timeout_s
        )

    def stop(self, instance_id: str, *, timeout_s: int) -> None:
        """Ask init to power off; kill it after `timeout_s`."""
        self._call(
            "stop", "--time", str(timeout_s), self._name(instance_id),
            action=f"stop machine {instance_id}", timeout_s=timeout_s + 30,
        )  # fmt: skip

    def remove(self, *instance_ids: str) -> None:
        """Kill containers and remove them with their disks."""
        if instance_ids:
            names = [self._name(instance_id) for instance_id in instance_ids]
            action = f"remove machine {' '.join(instance_ids)}"
            self._call(
                "rm", "--force", "--ignore", "--time", "0", "--volumes", *names, action=action, timeout_s=300
            )

    def containers(self) -> list[Container]:
        """Return every container of the region."""
        label = f"label={self._names.checkout_label}"
        listed = self._call("ps", "--all", "--filter", label, "--format", "json", action="list machines")
        return [self._container(entry) for entry in json.loads(listed or "[]")]

    def logs(self, instance_id: str) -> str:
        """Return the container's console."""
        return self._call("logs", self._name(instance_id), action=f"read the console of {instance_id}")

    def commit(self, instance_id: str, image: str) -> None:
        """Save the container's disk as an image, which starts like the container did."""
        self._call(
            "commit", "--quiet", "--change", f"LABEL {self._names.checkout_label}",
            self._name(instance_id), image,
            action=f"capture machine {instance_id}", timeout_s=_COMMIT_TIMEOUT_S,
        )  # fmt: skip

    def tag(self, image: str, name: str) -> None:
        """Give an image one more name."""
        self._call("tag", image, name, action=f"name image {name}")

    def untag(self, name: str) -> None:
        """Take a name from an image; layers that nothing names or uses go with `prune`."""
        self._call("untag", name, name, action=f"remove image {name}")

    def prune(self) -> None:
        """Remove the region's images that have no name and no container."""
        label = f"label={self._names.checkout_label}"
        self._call(
            "image", "prune", "--force", "--filter", label, action="remove unused images", timeout_s=300
        )

    def image_names(self) -> list[str]:
        """Return the names of all images of the host, without tags."""
        listed = self._call("images", "--format", "{{.Repository}}", action="list images")
        return [line for line in listed.splitlines() if line != "<none>"]

    def has_image(self, name: str) -> bool:
        """Return whether the host has an image of this name."""
        return bool(self._call("images", "--quiet", name, action=f"find image {name}").strip())

    def import_archive(self, archive: Path, name: str) -> None:
        """Make an image from a tar archive of a root file system."""
        self._call(
            "import", "--quiet", "--change", 'CMD ["/sbin/init"]', str(archive), name,
            action=f"import {archive.name}", timeout_s=_COMMIT_TIMEOUT_S,
        )  # fmt: skip

    def _name(self, instance_id: str) -> str:
        return self._names.container(instance_id)

    def _container(self, entry: Mapping[str, object]) -> Container:
        labels = entry.get("Labels")
        instance_id = labels.get(self._names.instance_label_key, "") if isinstance(labels, dict) else ""
        return Container(
            instance_id=str(instance_id),
            container_id=str(entry["Id"]),
            state=str(entry["State"]),
            exit_code=int(str(entry["ExitCode"])),
            pid=int(str(entry["Pid"])),
            has_started=int(str(entry["StartedAt"])) > 0,
        )

    def _call(self, *arguments: str, action: str, timeout_s: float = 60) -> str:
        if not self._conf.exists():
            self._conf.parent.mkdir(parents=True, exist_ok=True)
            self._conf.write_text(_CONF)
        return process.run(
            ["podman", *arguments],
            action=action,
            timeout_s=timeout_s,
            environ={"CONTAINERS_CONF": str(self._conf)},
        )


def run_arguments(names: RegionNames, request: ContainerRequest) -> list[str]:
    """Return the arguments of `podman run` for a machine.

    Nothing of podman's is left in the disk: no /etc/hosts or /etc/resolv.conf of its own.
    """
    mounts = [f"--volume={source}:{target}:ro" for source, target in request.mounts.items()]
    labels = {**request.labels, names.instance_label_key: request.instance_id}
    return [
        "run", "--detach", "--tty", "--name", names.container(request.instance_id),
        "--hostname", request.hostname, "--no-hosts", "--dns", "none",
        "--network", f"ns:{request.namespace}",
        "--systemd", "always", "--stop-signal", "SIGRTMIN+3", "--restart", "no",
        "--cap-drop", "ALL", *(f"--cap-add={capability}" for capability in CAPABILITIES),
        "--ulimit", f"nofile={_limit(resource.RLIMIT_NOFILE, _OPEN_FILES)}",
        "--ulimit", f"nproc={_limit(resource.RLIMIT_NPROC, _PROCESSES)}",
        *mounts,
        "--label", names.checkout_label, *(f"--label={key}={value}" for key, value in labels.items()),
        request.image, *INIT,
    ]  # fmt: skip


def is_gone(error: SubstrateError) -> bool:
    """Return whether podman failed for want of the container; it has one exit code for all failures."""
    return any(text in error.output for text in _GONE)


def _limit(kind: int, wanted: Sequence[int]) -> str:
    """Return "soft:hard", both within this process's hard limit, above which podman is refused."""
    ceiling = resource.getrlimit(kind)[1]
    if ceiling == resource.RLIM_INFINITY:
        ceiling = max(wanted)
    return ":".join(str(min(value, ceiling)) for value in wanted)
