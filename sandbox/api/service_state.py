# SPDX-License-Identifier: Apache-2.0
"""Corrections of moto for the services that keep what they are told, beside EC2's and IAM's."""

from __future__ import annotations

from sandbox.api import (
    alarms,
    backups,
    buckets,
    budgets,
    cloudfront,
    config_rules,
    databases,
    events,
    functions,
    guard_duty,
    queues,
    secrets_manager,
    service_quotas,
    trails,
)
from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put all of them in place."""
    alarms.install(patches)
    backups.install(patches)
    buckets.install(patches)
    budgets.install(patches)
    cloudfront.install(patches)
    config_rules.install(patches)
    databases.install(patches)
    events.install(patches)
    functions.install(patches)
    guard_duty.install(patches)
    queues.install(patches)
    secrets_manager.install(patches)
    service_quotas.install(patches)
    trails.install(patches)
