# SPDX-License-Identifier: Apache-2.0
"""All corrections of moto that no part of the region needs for itself, only its callers."""

from __future__ import annotations

from sandbox.api import (
    dependencies,
    endpoints,
    flow_logs,
    launch_templates,
    network_acls,
    routes,
    security_groups,
)
from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put all of them in place."""
    for module in (
        network_acls,
        security_groups,
        routes,
        endpoints,
        flow_logs,
        launch_templates,
        dependencies,
    ):
        module.install(patches)
