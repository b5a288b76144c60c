# SPDX-License-Identifier: Apache-2.0
"""What a machine is told of its region by mounts under /run: it is in no image, as /run is never captured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_SYSTEM = "/run/systemd/system.conf.d"
_SSH = ("/run/systemd/system/ssh.service.d", "/run/systemd/system/ssh@.service.d")
_SESSIONS = {
    "/run/systemd/system/session-.scope.d": "Scope",
    "/run/systemd/system/user@.service.d": "Service",
}
_USER_ENVIRONMENT = "/run/environment.d"
# "00-" so that a drop-in of the image's own, which sorts later, wins.
_FILE = "00-region.conf"


def write_facts(
    directory: Path, environment: Mapping[str, str], *, has_cgroup_v2: bool
) -> Mapping[Path, str]:
    """Write the files that give every service and every login `environment`; return what to mount where.

    Services get it from the service manager; ssh sessions through sshd's SetEnv, which keeps /etc as the
    image has it. `sudo` clears it, as it clears everything: `sudo --preserve-env` keeps it.
    """
    files = {
        _SYSTEM: _system(environment, has_cgroup_v2=has_cgroup_v2),
        _SSH[0]: _sshd("-D $SSHD_OPTS", environment),
        _SSH[1]: _sshd("-i $SSHD_OPTS", environment),
        _USER_ENVIRONMENT: "".join(f"{name}={value}\n" for name, value in environment.items()),
    }
    if not has_cgroup_v2:
        # cgroup v1 does not tell a container's systemd that a unit's last process ended. What ends by
        # itself, like a session when the network goes, it would wait for in vain at many a shutdown.
        files |= {target: f"[{kind}]\nTimeoutStopSec=1\n" for target, kind in _SESSIONS.items()}
    mounts = {}
    for target, text in files.items():
        if text:
            source = directory / Path(target).name
            source.mkdir(parents=True, exist_ok=True)
            (source / _FILE).write_text(text)
            mounts[source] = target
    return mounts


def _system(environment: Mapping[str, str], *, has_cgroup_v2: bool) -> str:
    lines = ["[Manager]"]
    if environment:
        pairs = " ".join(f'"{name}={_escaped(value)}"' for name, value in environment.items())
        lines.append(f"DefaultEnvironment={pairs}")
    if not has_cgroup_v2:
        lines.append("DefaultTimeoutStopSec=10")
    return "\n".join(lines) + "\n"


def _sshd(arguments: str, environment: Mapping[str, str]) -> str:
    if not environment:
        return ""
    pairs = " ".join(f"{name}={value}" for name, value in environment.items())
    dash = "-" if arguments.startswith("-i") else ""
    return (
        f'[Service]\nExecStart=\nExecStart={dash}/usr/sbin/sshd {arguments} -o "SetEnv={_escaped(pairs)}"\n'
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
