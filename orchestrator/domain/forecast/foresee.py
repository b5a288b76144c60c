# SPDX-License-Identifier: Apache-2.0
"""Say how a rollout will go, and what a small change of a number would change a lot. Pure."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.domain.forecast.cliffs import cliffs
from orchestrator.domain.forecast.course import Course, FleetShape, Timing
from orchestrator.domain.forecast.simulate import course
from orchestrator.domain.refresh import RefreshPreferences


def forecast(shape: FleetShape, preferences: RefreshPreferences, timing: Timing) -> Course:
    """Return the course of an instance refresh if nothing fails but the launches that fail by habit.

    The likely duration takes batches one after another, each as long as its last machine takes on average.
    The low end takes every machine among the fastest; the high end takes every batch as slow as one in
    twenty, and launches and terminations as held back by EC2's default buckets. Whether a group may go
    beyond its maximum size is not documented: it is taken to, and what it would mean not to is a cliff.
    """
    return replace(course(shape, preferences, timing), cliffs=cliffs(shape, preferences, timing))
