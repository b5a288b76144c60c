# SPDX-License-Identifier: Apache-2.0
"""Build the Debian 12 cloud image with debootstrap, from the host's own apt mirror: no registry is needed."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import process
from sandbox.machines import mirror
from sandbox.machines.mirror import Mirror
from sandbox.machines.podman import Podman

_FILES = Path(__file__).parent / "debian_files"
_IMAGE = "localhost/slipway-debian-12"
WORK_DIR = Path("/var/tmp")  # noqa: S108 - a root file system needs a disk with devices and suid, unlike /tmp
_WORK_PREFIX = "slipway-debian-"
_TIMEOUT_S = 600
# What Debian's image for AWS has and its machines are expected to have, less kernel, boot loader and
# firmware.
_PACKAGES = (
    "ca-certificates", "cloud-init", "curl", "dbus", "iproute2", "iputils-ping", "less", "libcap2-bin",
    "libpam-systemd", "netbase", "openssh-server", "procps", "python3", "python3-apt", "sudo",
    "systemd-sysv", "vim-tiny",
)  # fmt: skip
# Packages must not start services while there is no machine, and the build need not survive a power cut.
_POLICY = ("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
_UNSAFE_IO = ("etc/dpkg/dpkg.cfg.d/unsafe-io", "force-unsafe-io\n")
_LEFTOVERS = (
    "etc/apt/sources.list", "etc/hostname", "etc/ssh/ssh_host_*", "root/.wget-hsts", "var/cache/apt/*.bin",
    "var/cache/debconf/*-old", "var/lib/apt/lists/*", "var/lib/dbus/machine-id", "var/lib/dpkg/*-old",
    "var/log/*.log", "var/log/apt/*",
)  # fmt: skip
# A build ends with the process that wants it, even by SIGKILL: its processes and mounts are in namespaces
# that die with `unshare`, which dies with us.
_CONTAINED = (
    "setpriv", "--pdeathsig", "KILL",
    "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
)  # fmt: skip
_CHROOT = 'mount -t proc proc "$1/proc" && root=$1 && shift && exec chroot "$root" "$@"'


def ensure(podman: Podman, cache_dir: Path, *, on_progress: Callable[[str], None]) -> str:
    """Return the name of the Debian image on this host; build or import it first if need be."""
    source = mirror.of_host()
    key = recipe_key(source)
    name = f"{_IMAGE}:{key}"
    if podman.has_image(name):
        return name
    with alone(cache_dir):
        if podman.has_image(name):
            return name
        archive = cache_dir / f"debian-12-{key}.tar"
        if not archive.exists():
            build(source, archive, on_progress)
        on_progress("importing the Debian image")
        podman.import_archive(archive, name)
    return name


def recipe_key(source: Mirror) -> str:
    """Return a digest of all that the image is made of: another recipe is another image."""
    digest = hashlib.sha256(repr((source, _PACKAGES, _LEFTOVERS)).encode())
    for path in sorted(_FILES.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(_FILES)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def build(source: Mirror, archive: Path, on_progress: Callable[[str], None]) -> None:
    """Build the image's archive; only one process of this host may, see `alone`."""
    for stale in WORK_DIR.glob(f"{_WORK_PREFIX}*"):  # of a build that was killed: we hold the lock
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=_WORK_PREFIX, dir=WORK_DIR) as work:
        root = Path(work) / "root"
        on_progress("making a Debian root with debootstrap (1/3)")
        _debootstrap(root, source)
        on_progress("installing cloud-init, ssh and the service manager (2/3)")
        _install(root, mirror.settled(source, root))
        on_progress("packing the image (3/3)")
        _seal(root)
        _pack(root, archive)


def _debootstrap(root: Path, source: Mirror) -> None:
    where = [source.archive] if source.archive else []
    process.run(
        [*_CONTAINED, "debootstrap", "--variant=minbase", mirror.SUITE, str(root), *where],
        action="make a Debian root",
        timeout_s=_TIMEOUT_S,
    )


def _install(root: Path, source: Mirror) -> None:
    for path, text in (_POLICY, _UNSAFE_IO):
        (root / path).write_text(text)
        (root / path).chmod(0o755)
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(mirror.sources(source))
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    _in_root(root, "apt-get", "update", "-q")
    _in_root(root, "apt-get", "upgrade", "-q", "-y")
    # Not as debootstrap --include: it knows no virtual packages, which cloud-init depends on.
    _in_root(root, "apt-get", "install", "-q", "-y", "--no-install-recommends", *_PACKAGES)
    # Machines have no CAP_NET_RAW, and a program that asks for it does not even start; ping does without.
    _in_root(root, "setcap", "-r", "/usr/bin/ping")
    _in_root(root, "apt-get", "clean")


def _in_root(root: Path, *command: str) -> None:
    process.run(
        [*_CONTAINED, "sh", "-c", _CHROOT, "sh", str(root), *command],
        action=f"{' '.join(command[:2])} in the Debian root",
        timeout_s=_TIMEOUT_S,
        environ={
            "DEBIAN_FRONTEND": "noninteractive",
            "LC_ALL": "C.UTF-8",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        },
    )


def _seal(root: Path) -> None:
    """Leave nothing of this build or this host in the image: every machine makes its own identity."""
    for pattern in (_POLICY[0], _UNSAFE_IO[0], *_LEFTOVERS):
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    shutil.copytree(_FILES, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def _pack(root: Path, archive: Path) -> None:
    part = archive.with_suffix(".part")
    process.run(
        ["tar", "--numeric-owner", "--xattrs", "-C", str(root), "-cf", str(part), "."],
        action="pack the Debian image",
        timeout_s=_TIMEOUT_S,
    )
    part.replace(archive)
    for other in archive.parent.glob("debian-12-*.tar"):
        if other != archive:
            other.unlink()


@contextmanager
def alone(cache_dir: Path) -> Iterator[None]:
    """Hold the cache: several checkouts may want the same image at the same moment."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / "debian.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
