# SPDX-License-Identifier: Apache-2.0
"""EventBridge as far as it works here: rules with a pattern, whose targets are queues and topics.

moto takes schedules and targets of every kind and drops what it can't do; `sandbox.event_bus` delivers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.events.models import EventsBackend

from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches

_TARGET = {
    "sqs": frozenset({"Arn", "Id", "InputTransformer", "SqsParameters"}),
    "sns": frozenset({"Arn", "Id", "InputTransformer"}),
}


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(EventsBackend, "put_targets", _put_targets(EventsBackend.put_targets))


def _put_targets(original: Callable[..., None]) -> Callable[..., None]:
    def put_targets(
        backend: Any, name: str, event_bus_arn: str | None, targets: list[Mapping[str, Any]]
    ) -> None:
        """Refuse targets that would get nothing."""
        for target in targets:
            service = target["Arn"].split(":")[2:3]
            known = _TARGET.get(service[0] if service else "")
            if known is None:
                raise unsupported(
                    f"events.PutTargets with {target['Arn']}, which is neither a queue nor a topic,"
                )
            if others := sorted(set(target) - known):
                raise unsupported(f"events.PutTargets with {', '.join(others)}")
        original(backend, name, event_bus_arn, targets)

    return put_targets
