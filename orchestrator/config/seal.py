# SPDX-License-Identifier: Apache-2.0
"""What a sealed image must not hold: the list of the role image_seal, which the boot test asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.config.loader import read_document
from orchestrator.errors import ConfigError

SEAL_PATH = "roles/image_seal/vars/main.yml"
KEY = "image_seal_paths"


def load_seal_paths(project: Path) -> tuple[Mapping[str, str], ...]:
    """Return the list as it stands in the role.

    Raises:
        ConfigError: the file is not readable or holds no such list.
    """
    document, problems = read_document(project, SEAL_PATH)
    entries: Any = document.get(KEY) if isinstance(document, dict) else None
    if problems or not entries:
        raise ConfigError(SEAL_PATH, tuple(problems) or (f"{SEAL_PATH}: {KEY}: is missing or empty",))
    return tuple(entries)
