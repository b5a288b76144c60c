# SPDX-License-Identifier: Apache-2.0
"""What AWS knows that decides whether a rollout can go well: quotas, addresses, alarms and the like."""

from __future__ import annotations

from typing import Protocol


class Facts(Protocol):
    """Looked up before a rollout; each method is few calls at any size of the fleet."""
