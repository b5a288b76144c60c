# SPDX-License-Identifier: Apache-2.0
"""EventBridge's default bus: events of the region's services and of callers reach queues and topics by rules.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from moto.core.exceptions import ServiceException
from moto.events.models import EventsBackend, events_backends
from moto.events.utils import EventTemplateParser
from moto.moto_api._internal import mock_random
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.api.errors import AwsError
from sandbox.api.gateway import Locks
from sandbox.api.ledger import Health, State
from sandbox.api.patches import Patches
from sandbox.api.service_access import allows
from sandbox.clock import RegionClock
from sandbox.own_calls import OwnCalls

log = logging.getLogger(__name__)

PRINCIPAL = "events.amazonaws.com"
MOST_ENTRIES = 10
BUS = "default"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `detail` is a JSON object, `resources` are ARNs."""

    source: str
    detail_type: str
    detail: Mapping[str, Any]
    resources: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class _Delivery:
    rule_arn: str
    target: Mapping[str, Any]
    envelope: dict[str, Any]


class EventBus:
    """The default bus of the region."""

    def __init__(
        self,
        *,
        account_id: str,
        region: str,
        locks: Locks,
        calls: OwnCalls,
        clock: RegionClock,
        changed: Callable[[], None],
    ) -> None:
        self._account_id = account_id
        self._region = region
        self._locks = locks
        self._calls = calls
        self._clock = clock
        self._changed = changed
        self._started: Any = None

    def install(self, patches: Patches) -> None:
        """Let callers' events take the same way."""
        patches.replace(EventsBackend, "put_events", lambda _, entries: self._put(entries))

    def start(self) -> None:
        """Go on with the rules that were restored."""
        self._started = self._backend()

    def announce(self, event: Event) -> None:
        """Deliver an event to the targets of every enabled rule that matches it; call with no lock held."""
        if self._has_rules():
            self._accept(event)

    def note_state(self, instance_id: str, entered: State | Health) -> None:
        """Announce an instance's new state in a moment; EC2's lock is held, and mostly nobody listens.

        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html
        """
        if type(entered) is not State or not self._has_rules():
            return
        arn = f"arn:aws:ec2:{self._region}:{self._account_id}:instance/{instance_id}"
        detail = {"instance-id": instance_id, "state": entered.value}
        title = "EC2 Instance State-change Notification"
        event = Event("aws.ec2", title, detail, (arn,), self._clock.now())
        self._clock.after(0, lambda: self.announce(event))

    def _has_rules(self) -> bool:
        """Whether anybody may listen; without the lock, and for nearly every event nobody does."""
        return bool((self._started or self._backend()).event_buses[BUS].rules)

    def _backend(self) -> Any:
        return events_backends[self._account_id][self._region]

    def _accept(self, event: Event) -> str:
        """Deliver an event, and return its id."""
        event_id = str(mock_random.uuid4())
        with self._locks.of("events"):
            deliveries = list(self._matching(event, event_id))
        for delivery in deliveries:
            self._deliver(delivery)
        return event_id

    def _matching(self, event: Event, event_id: str) -> Iterator[_Delivery]:
        rules = self._backend().event_buses[BUS].rules
        if not rules:
            return
        envelope = self._envelope(event, event_id)
        for rule in rules.values():
            if rule.state == "ENABLED" and rule.event_pattern.matches_event(envelope):
                for target in rule.targets:
                    yield _Delivery(rule.arn, dict(target), envelope)

    def _envelope(self, event: Event, event_id: str) -> dict[str, Any]:
        return {
            "version": "0",
            "id": event_id,
            "detail-type": event.detail_type,
            "source": event.source,
            "account": self._account_id,
            "time": f"{event.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "region": self._region,
            "resources": list(event.resources),
            "detail": dict(event.detail),
        }

    def _deliver(self, delivery: _Delivery) -> None:
        """Send to a target that is there and lets EventBridge send; nobody hears of the others."""
        arn = delivery.target["Arn"]
        try:
            body = _body(delivery)
            if arn.split(":")[2] == "sqs":
                self._to_queue(delivery, body)
            else:
                self._to_topic(delivery, body)
        except (ClientError, ServiceException, ValueError) as error:
            log.warning("an event for %s by %s was dropped: %s", arn, delivery.rule_arn, error)

    def _to_queue(self, delivery: _Delivery, body: str) -> None:
        arn = delivery.target["Arn"]
        group_id = delivery.target.get("SqsParameters", {}).get("MessageGroupId")
        with self._locks.of("sqs"):
            backend = sqs_backends[self._account_id][self._region]
            queue: Any = backend.queues.get(arn.rpartition(":")[2])
            if queue is None or not self._may(queue.policy, "sqs:SendMessage", delivery.rule_arn):
                return
            # EventBridge gives no deduplication id, so a FIFO queue must make its own.
            if group_id and not queue.content_based_deduplication:
                return
            backend.send_message(queue_name=queue.name, message_body=body, group_id=group_id)
        self._changed()

    def _to_topic(self, delivery: _Delivery, body: str) -> None:
        arn = delivery.target["Arn"]
        with self._locks.of("sns"):
            topic = sns_backends[self._account_id][self._region].topics.get(arn)
            is_open = topic is not None and self._may(topic.policy, "sns:Publish", delivery.rule_arn)
        if is_open:
            self._calls.client("sns").publish(TopicArn=arn, Message=body)

    def _may(self, policy: str | None, action: str, rule_arn: str) -> bool:
        keys = {"aws:sourcearn": rule_arn, "aws:sourceaccount": self._account_id}
        return allows(policy or "{}", PRINCIPAL, action, keys=keys)

    def _put(self, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Answer PutEvents; each entry succeeds or fails by itself."""
        if len(entries) > MOST_ENTRIES:
            raise AwsError(
                "ValidationException",
                "1 validation error detected: Value '[PutEventsRequestEntry]' at 'entries' failed to satisfy "
                f"constraint: Member must have length less than or equal to {MOST_ENTRIES}",
            )
        return [self._put_one(entry) for entry in entries]

    def _put_one(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        bus = entry.get("EventBusName", BUS).rpartition("/")[2]
        if bus != BUS:
            raise AwsError("ResourceNotFoundException", f"Event bus {bus} does not exist.")
        if (refusal := _refusal(entry)) is not None:
            return {"ErrorCode": refusal[0], "ErrorMessage": refusal[1]}
        at = datetime.fromtimestamp(float(entry["Time"]), UTC) if "Time" in entry else self._clock.now()
        resources = tuple(entry.get("Resources", ()))
        event = Event(entry["Source"], entry["DetailType"], json.loads(entry["Detail"]), resources, at)
        return {"EventId": self._accept(event)}


def _refusal(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the code and the message that refuse an entry.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
    """
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            reason = f"Reason: {name} is a required argument."
            return "InvalidArgument", f"Parameter {name} is not valid. {reason}"
    if entry["Source"].startswith("aws."):
        return "NotAuthorizedForSourceException", "Not authorized for the source."
    try:
        is_object = isinstance(json.loads(entry["Detail"]), dict)
    except ValueError:
        is_object = False
    return None if is_object else ("MalformedDetail", "Detail is malformed.")


def _body(delivery: _Delivery) -> str:
    transformer = delivery.target.get("InputTransformer")
    if not transformer:
        return json.dumps(delivery.envelope, separators=(",", ":"))
    event: Any = delivery.envelope | {"ingestion-time": delivery.envelope["time"]}
    paths = transformer.get("InputPathsMap", {})
    return json.dumps(EventTemplateParser.parse(transformer["InputTemplate"], paths, event))
