# SPDX-License-Identifier: Apache-2.0
"""Makes the program that the role `operator_access` installs importable, as on a machine."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parents[3] / "roles/operator_access/files/usr/local/lib/slipway"


def load(name: str, path: Path) -> None:
    """Import a module, or a package, by its place."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


load("operator_access", PROGRAMS / "operator_access/__init__.py")
load("session_bytes", PROGRAMS / "session_bytes.py")
