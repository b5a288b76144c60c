# SPDX-License-Identifier: Apache-2.0
"""Foresee the course of a rollout: batches, checkpoints, capacity, time and price. Pure."""
