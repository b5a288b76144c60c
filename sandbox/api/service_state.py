# SPDX-License-Identifier: Apache-2.0
"""Corrections of moto for the services that keep what they are told, beside EC2's and IAM's."""

from __future__ import annotations

from sandbox.api import buckets, cloudfront, databases, functions, queues
from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put all of them in place."""
    buckets.install(patches)
    cloudfront.install(patches)
    databases.install(patches)
    functions.install(patches)
    queues.install(patches)
