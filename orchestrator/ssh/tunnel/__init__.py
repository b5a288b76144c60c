# SPDX-License-Identifier: Apache-2.0
"""Tunnels to databases over two hops. Importing it imports no SSH library."""

from orchestrator.ssh.tunnel.engine import AsyncTunnels

__all__ = ["AsyncTunnels"]
