# SPDX-License-Identifier: Apache-2.0
"""Correct moto's CloudWatch where it keeps what is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend

from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put the correction in place."""
    patches.replace(CloudWatchBackend, "delete_alarms", _delete(CloudWatchBackend.delete_alarms))


def _delete(original: Callable[..., None]) -> Callable[..., None]:
    def delete_alarms(backend: Any, alarm_names: list[str]) -> None:
        """Let tags go with their alarm; moto gives them to the next of its name."""
        for name in alarm_names:
            if name in backend.alarms:
                backend.tagger.delete_all_tags_for_resource(backend.alarms[name].alarm_arn)
        original(backend, alarm_names)

    return delete_alarms
