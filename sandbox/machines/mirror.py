# SPDX-License-Identifier: Apache-2.0
"""Where this host gets Debian packages from, according to its own apt; the project names no mirror."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox import process
from sandbox.substrate import SubstrateError

SUITE = "bookworm"
_FORMAT = "$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(VERSION)"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True, slots=True)
class Mirror:
    """The addresses of Debian's archives; None where debootstrap's own default is to be used."""

    archive: str | None
    security: str | None
    version: str = ""


def of_host() -> Mirror:
    """Return what the host's apt uses for Debian; on a host that is no Debian, nothing."""
    try:
        listed = process.run(
            ["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"],
            action="read apt's sources",
        )
    except SubstrateError:
        return Mirror(None, None)
    return parse(listed)


def parse(listed: str) -> Mirror:
    """Return the mirror from lines of `apt-get indextargets` in our format."""
    rows = [line.split("|") for line in listed.splitlines() if line.startswith("Debian|")]
    archives = [(uri, version) for _, label, uri, version in rows if label == "Debian"]
    security = [uri for _, label, uri, _ in rows if label == "Debian-Security"]
    if not archives:
        return Mirror(None, None)
    versions = sorted({version for _, version in archives if not version.startswith("$")})
    return Mirror(archives[0][0], security[0] if security else None, " ".join(versions))


def settled(mirror: Mirror, root: Path) -> Mirror:
    """Fill in what debootstrap chose, and the security archive, which mirrors keep beside Debian's own."""
    archive = mirror.archive or (root / "etc/apt/sources.list").read_text().split()[1]
    security = mirror.security or archive.rstrip("/") + "-security"
    return Mirror(archive, security, mirror.version)


def sources(mirror: Mirror) -> str:
    """Return the image's apt sources: the release, its updates, and the security updates."""
    stanzas = [
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {_KEYRING}\n"
        for uri, suites in (
            (mirror.archive, f"{SUITE} {SUITE}-updates"),
            (mirror.security, f"{SUITE}-security"),
        )
    ]
    return "\n".join(stanzas)
