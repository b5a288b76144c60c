# SPDX-License-Identifier: Apache-2.0
"""Add to CloudWatch Logs what moto lacks: other keys for a group, and filters that are put again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.metric_filters import MetricFilters
from moto.logs.responses import LogsResponse

from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(LogsResponse, "associate_kms_key", _associate)
    patches.replace(LogsResponse, "disassociate_kms_key", _disassociate)
    patches.replace(MetricFilters, "add_filter", _in_place(MetricFilters.add_filter))


def _associate(response: Any) -> str:
    _group(response).kms_key_id = response._get_param("kmsKeyId")
    return ""


def _disassociate(response: Any) -> str:
    _group(response).kms_key_id = None
    return ""


def _group(response: Any) -> Any:
    groups = response.logs_backend.groups
    name = response._get_param("logGroupName")
    if name not in groups:
        raise ResourceNotFoundException()
    return groups[name]


def _in_place(original: Callable[..., None]) -> Callable[..., None]:
    def add_filter(
        filters: Any, filter_name: str, filter_pattern: str, log_group_name: str, transformations: Any
    ) -> None:
        """Replace the filter of the name, as PutMetricFilter does."""
        filters.delete_filter(filter_name, log_group_name)
        original(filters, filter_name, filter_pattern, log_group_name, transformations)

    return add_filter
