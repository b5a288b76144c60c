# SPDX-License-Identifier: Apache-2.0
"""The tunnel to the database: plan where it goes, open it, watch it while it is used, record and close it."""

from orchestrator.workflows.db_tunnel.visit import run
from orchestrator.workflows.db_tunnel.world import Outcome, Ready, Request, TunnelWorld, Use

__all__ = ["Outcome", "Ready", "Request", "TunnelWorld", "Use", "run"]
