# SPDX-License-Identifier: Apache-2.0
"""Find out, without leaving a trace, whether this host can carry machines; say what is missing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox import process
from sandbox.substrate import SubstrateError

STILL_WORKS = "what needs no machine still works: `./inv test --fast`, and a region in simulated mode"

# The program, and the Debian package that brings it.
_PROGRAMS = {
    "podman": "podman",
    "runc": "runc",
    "conmon": "conmon",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "debootstrap": "debootstrap",
    "haproxy": "haproxy",
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "tcc": "tcc",
    "tar": "tar",
}
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUP_V1 = ("cpu", "devices", "freezer", "memory", "pids", "systemd")
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

_LINKS = """\
ip link add name probe0 type bridge
ip link add name probe1 type veth peer name probe2
ip link set dev probe1 master probe0
"""
_INCLUDE = "#include <sys/un.h>\n"
_RULES = """\
table inet probe {
  chain a { type filter hook prerouting priority raw; policy drop; ct state established accept; }
  chain b { type nat hook postrouting priority srcnat; masquerade; }
}
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing this host lacks, and what would bring it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


def missing() -> tuple[Missing, ...]:
    """Return what this host lacks to run machines; nothing if it can.

    The kernel is asked by doing, in namespaces that vanish with the question.
    """
    if os.geteuid() != 0:
        return (Missing("not root", "machines need network namespaces and mounts; run it as root"),)
    absent = [program for program in _PROGRAMS if not _has_program(program)]
    if absent:
        packages = " ".join(sorted({_PROGRAMS[program] for program in absent}))
        return (Missing(f"no {', '.join(absent)}", f"install {packages}"),)
    found = (_network(), _firewall(), _overlay(), _headers(), *_cgroups())
    return tuple(each for each in found if each is not None)


def _has_program(program: str) -> bool:
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    return shutil.which(program, path=path) is not None


def _network() -> Missing | None:
    return _attempt(
        lambda: _in_new_namespaces(_LINKS),
        Missing("network namespaces", "this kernel makes none with bridges and veth pairs in them"),
    )


def _firewall() -> Missing | None:
    return _attempt(
        lambda: _in_new_namespaces("nft -f -", stdin=_RULES),
        Missing("nftables", "this kernel has no nf_tables with connection tracking and translation"),
    )


def _overlay() -> Missing | None:
    def mount() -> None:
        # Beside podman's storage: whether overlays work depends on the file system below.
        storage = Path("/var/lib/containers")
        parent = storage if storage.is_dir() else storage.parent
        with tempfile.TemporaryDirectory(prefix="slipway-probe-", dir=parent) as work:
            for name in ("lower", "upper", "work", "merged"):
                (Path(work) / name).mkdir()
            _in_new_namespaces(
                f"cd {work} && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged"
            )

    return _attempt(mount, Missing("overlay mounts", "this kernel or the disk under /var/lib has none"))


def _headers() -> Missing | None:
    return _attempt(
        lambda: process.run(["tcc", "-E", "-"], action="read C headers", stdin=_INCLUDE),
        Missing("C headers", "install libc6-dev"),
    )


def _cgroups() -> tuple[Missing, ...]:
    return cgroups_missing(_CGROUP_ROOT)


def cgroups_missing(root: Path) -> tuple[Missing, ...]:
    """Return what the control groups mounted at `root` lack; either version will do."""
    if (root / "cgroup.controllers").exists():
        return ()
    absent = [name for name in _CGROUP_V1 if not (root / name).is_dir()]
    if not absent:
        return ()
    return (Missing("control groups", f"mount {', '.join(absent)} under {root}"),)


def _in_new_namespaces(script: str, *, stdin: str | None = None) -> None:
    process.run(
        ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", script],
        action="probe the kernel",
        stdin=stdin,
        timeout_s=20,
    )


def _attempt(probe: Callable[[], object], failure: Missing) -> Missing | None:
    try:
        probe()
    except SubstrateError as exc:
        reason = exc.output.splitlines()[-1]
        return Missing(failure.what, f"{failure.remedy} ({reason})")
    except OSError as exc:
        return Missing(failure.what, f"{failure.remedy} ({exc.strerror})")
    return None
