# SPDX-License-Identifier: Apache-2.0
"""EventBridge as far as it works here: events that callers put reach SQS queues by rules with a pattern.

moto takes schedules and targets of every kind and drops what it can't do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.events.models import EventsBackend, Rule
from moto.sqs.models import sqs_backends

from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches
from sandbox.api.service_access import allows

PRINCIPAL = "events.amazonaws.com"
_TARGET = frozenset({"Arn", "Id", "InputTransformer", "SqsParameters"})


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(EventsBackend, "put_targets", _put_targets(EventsBackend.put_targets))
    patches.replace(Rule, "send_to_targets", _send(Rule.send_to_targets))
    patches.replace(Rule, "_send_to_sqs_queue", _send_to_queue(Rule._send_to_sqs_queue))


def _put_targets(original: Callable[..., None]) -> Callable[..., None]:
    def put_targets(
        backend: Any, name: str, event_bus_arn: str | None, targets: list[Mapping[str, Any]]
    ) -> None:
        """Refuse targets that would get nothing."""
        for target in targets:
            if ":sqs:" not in target["Arn"]:
                raise unsupported(f"events.PutTargets with {target['Arn']}, which is no queue,")
            if others := sorted(set(target) - _TARGET):
                raise unsupported(f"events.PutTargets with {', '.join(others)}")
        original(backend, name, event_bus_arn, targets)

    return put_targets


def _send(original: Callable[..., None]) -> Callable[..., None]:
    def send_to_targets(rule: Any, *arguments: Any, **named: Any) -> None:
        """Send nothing by a rule that is disabled."""
        if rule.state == "ENABLED":
            original(rule, *arguments, **named)

    return send_to_targets


def _send_to_queue(original: Callable[..., None]) -> Callable[..., None]:
    def send_to_sqs_queue(rule: Any, resource_id: str, *arguments: Any, **named: Any) -> None:
        """Send to queues that are there and let EventBridge send, as on AWS; nobody hears of the others."""
        queue = sqs_backends[rule.account_id][rule.region_name].queues.get(resource_id)
        keys = {"aws:sourcearn": rule.arn, "aws:sourceaccount": rule.account_id}
        if queue is not None and allows(queue.policy or "{}", PRINCIPAL, "sqs:SendMessage", keys=keys):
            original(rule, resource_id, *arguments, **named)

    return send_to_sqs_queue
