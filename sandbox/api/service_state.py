# SPDX-License-Identifier: Apache-2.0
"""Corrections of moto for the services that keep what they are told, beside EC2's and IAM's."""

from __future__ import annotations

from sandbox.api import backups, buckets, budgets, cloudfront, databases, functions, queues
from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put all of them in place."""
    backups.install(patches)
    buckets.install(patches)
    budgets.install(patches)
    cloudfront.install(patches)
    databases.install(patches)
    functions.install(patches)
    queues.install(patches)
