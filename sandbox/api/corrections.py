# SPDX-License-Identifier: Apache-2.0
"""All corrections of moto that no part of the region needs for itself, only its callers."""

from __future__ import annotations

from sandbox.api import (
    answers,
    aws_policies,
    certificates,
    dependencies,
    endpoints,
    flow_logs,
    iam_policies,
    keys,
    launch_templates,
    log_groups,
    lookups,
    network_acls,
    routes,
    security_groups,
    web_acls,
)
from sandbox.api.patches import Patches

_MODULES = (
    answers,
    aws_policies,
    certificates,
    dependencies,
    endpoints,
    flow_logs,
    iam_policies,
    keys,
    launch_templates,
    log_groups,
    lookups,
    network_acls,
    routes,
    security_groups,
    web_acls,
)


def install(patches: Patches) -> None:
    """Put all of them in place."""
    for module in _MODULES:
        module.install(patches)
