# SPDX-License-Identifier: Apache-2.0
"""Foresee the course of a rollout: batches, checkpoints, capacity, time and price. Pure."""

from orchestrator.domain.forecast.foresee import forecast
from orchestrator.domain.forecast.measured import measured_timing
from orchestrator.domain.forecast.optimise import Limits, Proposal, optimise

__all__ = ["Limits", "Proposal", "forecast", "measured_timing", "optimise"]
