# SPDX-License-Identifier: Apache-2.0
"""Every resource type the engine can make: the modules of `resources` each list theirs in HANDLERS."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from sandbox.cloudformation import resources
from sandbox.cloudformation.handler import Handler


@cache
def handlers() -> Mapping[str, Handler]:
    """Return all handlers by type name."""
    found: dict[str, Handler] = {}
    for module in pkgutil.iter_modules(resources.__path__, f"{resources.__name__}."):
        for handler in getattr(importlib.import_module(module.name), "HANDLERS", ()):
            if handler.type_name in found:
                raise ValueError(f"{handler.type_name} has two handlers")
            found[handler.type_name] = handler
    return found
