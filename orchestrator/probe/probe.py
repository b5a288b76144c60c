# SPDX-License-Identifier: Apache-2.0
"""Look around on a freshly booted machine and print one JSON document. Runs there, as root, on its own.

Whatever is older than the machine's first process came with the image. Nobody can set a file's ctime, so it
tells; its mtime is looked at besides where a boot may have touched but not made a file.
"""

from __future__ import annotations

import glob
import grp
import hashlib
import json
import os
import pwd
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path("/")
JOURNAL_LINES = 10
OUTPUT_LINES = 20
TIMED_OUT = 124
# Folders whose files an image is compared by; packages vouch for what they own, unless it was changed.
COMPARED = ("etc", "usr/local", "opt", "usr/lib/systemd", "srv")
# Hashes of passwords have no place in a record, and the others are derived from packages.
PASSED_OVER = re.compile(r"/etc/(g?shadow-?|ld\.so\.cache|\.pwd\.lock)|.*/__pycache__/.*")
SEARCHED = ("root", "home")
LARGEST_SECRET = 64 * 1024
# Reading larger files takes longer than a comparison of images is worth; their size stands for them.
LARGEST_READ = 8 * 1024 * 1024
SECRET = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
    rb"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    rb"|aws_secret_access_key\s*=\s*[^\s#]"
)
AUTHORIZED = ("root/.ssh/authorized_keys*", "home/*/.ssh/authorized_keys*")
MERGED = re.compile(r"^/(bin|sbin|lib|lib32|lib64|libx32)/")


def run(*argv: str, timeout_s: float = 60) -> tuple[int, str]:
    """Run a program to its end, or kill it and its children; return its status and what it printed."""
    try:
        process = subprocess.Popen(  # noqa: S603 - argv is ours or the class's own check
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as exc:
        return 127, str(exc)
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return TIMED_OUT, output.decode("utf-8", "replace") + f"\nnot done after {timeout_s:g} s"
    return process.returncode, output.decode("utf-8", "replace")


def boot_time() -> float:
    """Return when the machine's first process began."""
    fields = Path("/proc/1/stat").read_text().rpartition(")")[2].split()
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


# What systemd says


def system_state(timeout_s: float) -> str:
    """Return systemd's state once it has finished starting, or what it is at the end of the time."""
    status, text = run("systemctl", "is-system-running", "--wait", timeout_s=timeout_s)
    if status == TIMED_OUT:
        _, text = run("systemctl", "is-system-running")
    return (text.split() or ["unknown"])[0]


def failed_units() -> list[dict[str, Any]]:
    """Return the failed units with their last lines in the journal."""
    _, text = run(
        "systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full"
    )
    return [{"name": name, "journal": journal(name)} for name in first_words(text)]


def journal(unit: str) -> list[str]:
    """Return a unit's last lines in the journal."""
    options = ("--boot", "--no-pager", "--output=short-iso", f"--lines={JOURNAL_LINES}")
    return run("journalctl", f"--unit={unit}", *options)[1].splitlines()


def units() -> dict[str, str]:
    """Return the units that are enabled or masked."""
    options = ("--state=enabled,masked", "--plain", "--no-legend", "--no-pager", "--full")
    lines = (line.split() for line in run("systemctl", "list-unit-files", *options)[1].splitlines())
    return {words[0]: words[1] for words in lines if len(words) > 1}


def first_words(text: str) -> list[str]:
    """Return the first word of each line."""
    return [words[0] for line in text.splitlines() if (words := line.split())]


# What the image left


class Leftovers:
    """Finds what came with the image and must not."""

    def __init__(self, booted_at: float, root: Path = ROOT) -> None:
        self.booted_at = booted_at
        self.root = root
        self.mounts = mount_points()
        self.found: dict[str, str] = {}

    def note(self, path: Path, why: str) -> None:
        """Note a path, for the first reason only."""
        self.found.setdefault(self.name(path), why)

    def name(self, path: Path) -> str:
        """Return the path as the machine knows it."""
        return "/" + str(path.relative_to(self.root))

    def look_for(self, entry: dict[str, str]) -> None:
        """Look for what stands against one entry of the list of image_seal."""
        booted = entry.get("booted", "any")
        for path in self.offenders(entry):
            with suppress(FileNotFoundError):  # a service may remove its own meanwhile
                if booted == "same" or self.is_from_image(path, booted):
                    self.note(path, entry["why"])

    def is_from_image(self, path: Path, booted: str) -> bool:
        """Tell whether a path is older than the machine; what must be made anew may not even look older."""
        status = path.lstat()
        born = min(status.st_ctime, status.st_mtime) if booted == "renewed" else status.st_ctime
        return born < self.booted_at

    def offenders(self, entry: dict[str, str]) -> list[Path]:
        """Return what is not as sealed."""
        matches, state = self.matching(entry["path"]), entry["sealed"]
        if state == "absent":
            return matches
        if state == "blank":
            return [path for path in matches if path.lstat().st_size]
        if state == "no_files":
            return [path for match in matches for path in regular_files(match)]
        found = [child for path in matches if path.is_dir() for child in sorted(path.iterdir())]
        if state == "stale":
            found += [path for path in matches if path.lstat().st_mtime]
        return found

    def matching(self, pattern: str) -> list[Path]:
        """Return what matches a pattern, without what is mounted there and so no part of the image."""
        full = f"{glob.escape(str(self.root)).rstrip('/')}/{pattern.lstrip('/')}"
        found = map(Path, sorted(glob.glob(full, include_hidden=True)))  # noqa: PTH207 - finds dangling links too
        return [path for path in found if path.is_dir() or self.name(path) not in self.mounts]

    def look_for_keys(self, public_keys: list[str]) -> None:
        """Look for keys that let anybody in but the boot test."""
        known = {key.split()[1] for key in public_keys}
        for pattern in AUTHORIZED:
            for path in self.root.glob(pattern):
                for line in path.read_text("utf-8", "replace").splitlines():
                    if line.strip() and not line.startswith("#") and not known & set(line.split()):
                        self.note(path, f"admits another key: ...{line.strip()[-40:]}")

    def look_for_passwords(self) -> None:
        """Look for accounts that a password opens: it would be the same on all machines."""
        shadow = self.root / "etc/shadow"
        for line in shadow.read_text("utf-8", "replace").splitlines() if shadow.exists() else ():
            name, password = line.split(":")[:2]
            if not password.startswith(("!", "*")):
                self.note(shadow, f"account {name} has a password")

    def look_for_secrets(self, paths: Iterable[Path]) -> None:
        """Look for private keys and credentials in files as old as the image."""
        for path in paths:
            with suppress(FileNotFoundError):
                status = path.lstat()
                is_suspect = status.st_size <= LARGEST_SECRET and status.st_ctime < self.booted_at
                if is_suspect and SECRET.search(path.read_bytes()):
                    self.note(path, "a private key or credentials for everyone who can start the image")


def mount_points() -> set[str]:
    """Return where something is mounted."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split()[4].encode().decode("unicode_escape") for line in lines}


def regular_files(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder, without following links or entering other disks' folders."""
    for base, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(base, name)
            if path.is_file() and not path.is_symlink():
                yield path


# What the image holds


def packages() -> tuple[dict[str, str], list[str]]:
    """Return the installed packages with their versions, and those that are not fully installed."""
    form = "${db:Status-Abbrev}\t${binary:Package}\t${Version}\n"
    installed, broken = {}, []
    for line in run("dpkg-query", "--show", f"--showformat={form}")[1].splitlines():
        state, name, version = line.split("\t")
        if state[1] == "i":
            installed[name] = version
        elif state[1] in "UFHWt":  # unpacked, half configured, half installed, waiting for or with triggers
            broken.append(name)
    return installed, broken


def owned_files() -> dict[str, str]:
    """Return the files of packages; those that are configuration with the MD5 sum they came with."""
    owned: dict[str, str] = {}
    for listing in Path("/var/lib/dpkg/info").glob("*.list"):
        owned.update(dict.fromkeys(map(merged, listing.read_text("utf-8", "replace").splitlines()), ""))
    for line in run("dpkg-query", "--show", "--showformat=${Conffiles}\n")[1].splitlines():
        words = line.split()
        if len(words) > 1:
            owned[merged(words[0])] = words[1]
    return owned


def merged(path: str) -> str:
    """Return a path as it is since /bin, /sbin and /lib are links into /usr."""
    return MERGED.sub(lambda found: f"/usr{found[0]}", path)


def own_files(booted_at: float, owned: dict[str, str]) -> Iterator[Path]:
    """Yield the files of the image that no package vouches for."""
    mounts = mount_points()
    for folder in COMPARED:
        for path in regular_files(ROOT / folder):
            name, md5 = str(path), owned.get(str(path))
            if md5 == "" or name in mounts or PASSED_OVER.fullmatch(name):
                continue
            if path.lstat().st_mtime >= booted_at:
                continue
            if md5 is None or digest(path, "md5") != md5:
                yield path


def digest(path: Path, algorithm: str) -> str:
    """Return the digest of a file, or its size if it is large."""
    size = path.lstat().st_size
    if size > LARGEST_READ:
        return f"size:{size}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def file_fact(path: Path) -> dict[str, str]:
    """Return what a file is compared by."""
    status = path.lstat()
    return {
        "sha256": digest(path, "sha256"),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": f"{account(status.st_uid)}:{group(status.st_gid)}",
    }


def account(uid: int) -> str:
    """Return the name of an account, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group(gid: int) -> str:
    """Return the name of a group, or its number."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def users() -> dict[str, str]:
    """Return the accounts."""
    groups = grp.getgrall()
    return {
        user.pw_name: ":".join(
            (
                str(user.pw_uid),
                group(user.pw_gid),
                user.pw_dir,
                user.pw_shell,
                ",".join(sorted(each.gr_name for each in groups if user.pw_name in each.gr_mem)),
            )
        )
        for user in pwd.getpwall()
    }


def listening() -> list[str]:
    """Return the listening sockets, each with its program."""
    found = set()
    for line in run("ss", "--no-header", "--listening", "--numeric", "--tcp", "--udp", "--processes")[
        1
    ].splitlines():
        words = line.split()
        if words[0] in ("tcp", "udp"):
            program = re.search(r'\(\("([^"]+)"', line)
            found.add(f"{words[0]} {words[4]} {program[1] if program else ''}".rstrip())
    return sorted(found)


# What is asked


def check(request: dict[str, Any]) -> dict[str, Any]:
    """Run one of the class's checks."""
    status, output = run("/bin/sh", "-c", request["command"], timeout_s=request["timeout_s"])
    return {
        "name": request["name"],
        "status": status,
        "output": "\n".join(output.splitlines()[-OUTPUT_LINES:]),
    }


def leftovers(request: dict[str, Any], booted_at: float, suspects: Iterable[Path]) -> list[dict[str, str]]:
    """Return what came with the image and must not."""
    found = Leftovers(booted_at)
    for entry in request["seal_paths"]:
        found.look_for(entry)
    found.look_for_keys(request["public_keys"])
    found.look_for_passwords()
    found.look_for_secrets(suspects)
    return [{"path": path, "why": why} for path, why in sorted(found.found.items())]


def report(request: dict[str, Any]) -> dict[str, Any]:
    """Look at everything that is asked for."""
    state, booted_at, begun = system_state(request["start_timeout_s"]), boot_time(), time.monotonic()
    installed, broken = packages()
    own = list(own_files(booted_at, owned_files()))
    homes = (path for folder in SEARCHED for path in regular_files(ROOT / folder))
    return {
        "system_state": state,
        "failed_units": failed_units(),
        "leftovers": leftovers(request, booted_at, (*own, *homes)),
        "broken_packages": broken,
        "contents": {
            "packages": installed,
            "files": {str(path): file_fact(path) for path in own},
            "units": units(),
            "ports": listening(),
            "users": users(),
            "kernel": os.uname().release,
        },
        "checks": [check(each) for each in request["checks"]],
        "seconds": round(time.monotonic() - begun, 3),
    }


def main(request: dict[str, Any]) -> None:
    """Print the report."""
    json.dump(report(request), sys.stdout, sort_keys=True, separators=(",", ":"))
    sys.stdout.write("\n")
