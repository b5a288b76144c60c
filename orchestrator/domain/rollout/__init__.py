# SPDX-License-Identifier: Apache-2.0
"""Rollouts: what is intended, how far it is, and what became of it. Pure."""
