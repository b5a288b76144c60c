# SPDX-License-Identifier: Apache-2.0
"""Count the roles that a managed policy bounds."""

from __future__ import annotations

from typing import Any

from moto.iam.models import ManagedPolicy

from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put the correction in place."""
    patches.replace(ManagedPolicy, "permissions_boundary_usage_count", property(_bounded))


def _bounded(policy: Any) -> int:
    holders = (*policy.backend.roles.values(), *policy.backend.users.values())
    return sum(getattr(each, "permissions_boundary_arn", None) == policy.arn for each in holders)
