# SPDX-License-Identifier: Apache-2.0
"""What operators see while a command works. The only place that draws on a terminal."""

from __future__ import annotations

from orchestrator.console.region import region_table
from orchestrator.console.steps import LiveReporter, PlainReporter, reporter

__all__ = ["LiveReporter", "PlainReporter", "region_table", "reporter"]
