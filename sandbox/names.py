# SPDX-License-Identifier: Apache-2.0
"""The names of what the region makes on the host; all carry the checkout, so that several regions can run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FAMILY = "slw-"
_CHECKOUT_LABEL = "slipway.checkout"
_INSTANCE_LABEL = "slipway.instance"


@dataclass(frozen=True, slots=True)
class RegionNames:
    """The names of one checkout's region. `prefix` is 12 characters, so that it is a valid interface name."""

    prefix: str
    state_dir: Path
    cache_dir: Path

    @property
    def host_link(self) -> str:
        """The only network interface the region has on the host itself."""
        return self.prefix

    @property
    def table(self) -> str:
        """The region's nftables table on the host; nft allows no dash in identifiers."""
        return self.prefix.replace("-", "_")

    @property
    def region_namespace(self) -> str:
        return f"{self.prefix}-region"

    @property
    def checkout_label(self) -> str:
        return f"{_CHECKOUT_LABEL}={self.prefix}"

    @property
    def instance_label_key(self) -> str:
        return _INSTANCE_LABEL

    def instance_label(self, instance_id: str) -> str:
        return f"{_INSTANCE_LABEL}={instance_id}"

    def router_namespace(self, vpc_id: str) -> str:
        return f"{self.prefix}-router-{vpc_id}"

    def machine_namespace(self, instance_id: str) -> str:
        return f"{self.prefix}-machine-{instance_id}"

    def container(self, instance_id: str) -> str:
        return f"{self.prefix}-{instance_id}"

    @property
    def image_prefix(self) -> str:
        return f"localhost/{self.prefix}/"

    def image(self, ami_id: str) -> str:
        return f"{self.image_prefix}{ami_id}"

    @property
    def runtime_dir(self) -> Path:
        """What programs of other users read: outside the checkout, which only its owner may be able to."""
        return Path("/run") / self.prefix

    def facts_dir(self, instance_id: str) -> Path:
        return self.state_dir / "machines" / instance_id


def of_checkout(checkout: Path, environ: Mapping[str, str] = os.environ) -> RegionNames:
    """Return the names of the region that belongs to the checkout at `checkout`."""
    root = checkout.resolve()
    digest = hashlib.sha256(str(root).encode()).hexdigest()
    cache_home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "/root")) / ".cache")
    return RegionNames(
        prefix=f"{FAMILY}{digest[:8]}", state_dir=root / ".sandbox", cache_dir=Path(cache_home) / "slipway"
    )


def interface(kind: str, owner_id: str) -> str:
    """Return an interface name of at most 15 characters that stands for `owner_id` in its namespace."""
    return f"{kind}-{hashlib.sha256(owner_id.encode()).hexdigest()[: 13 - len(kind)]}"
