# SPDX-License-Identifier: Apache-2.0
"""Lambda and the notifications of S3, put into moto."""

from __future__ import annotations

import json
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import LambdaBackend, lambda_backends
from moto.s3 import notifications as moto_notifications
from moto.s3.models import FakeBucket

from sandbox.api.errors import AwsError
from sandbox.api.iam_conditions import current_environ, is_met
from sandbox.api.patches import Patches
from sandbox.lambdas.function import Function, read, refuse_unknown_kinds, too_large
from sandbox.lambdas.invocations import Invocations, Pending, Queue
from sandbox.lambdas.notifications import Notifications
from sandbox.lambdas.runner import Runner
from sandbox.services import Surroundings

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_MOST_BYTES, _MOST_BYTES_LATER = 6_291_456, 1_048_576


class LambdaService:
    """Runs functions when they are invoked, by callers and by buckets."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._lock = surroundings.locks.of("lambda")
        folder = surroundings.folder / "lambda" if surroundings.folder else None
        self._runner = Runner(folder)
        self._invocations = Invocations(
            runner=self._runner,
            queue=Queue(self._pending, self._lock),
            find=self._find,
            calls=surroundings.calls,
            clock=surroundings.clock,
            endpoint=surroundings.endpoint,
            region=surroundings.region,
            changed=surroundings.changed,
        )
        self._notifications = Notifications(
            calls=surroundings.calls,
            clock=surroundings.clock,
            invoke=self._invocations.later,
            region=surroundings.region,
        )

    def install(self, patches: Patches) -> None:
        """Replace moto's invocations, which would need docker, and its notifications, which block."""
        patches.replace(LambdaBackend, "invoke", self._invoke)
        patches.replace(LambdaBackend, "send_sns_message", self._from_topic)
        _create_with_dead_letters(patches)
        patches.replace(moto_notifications, "send_event", self._send_event)
        patches.replace(moto_notifications, "send_test_event", self._send_test_event)
        set_configuration = FakeBucket.set_notification_configuration

        def checked(bucket: Any, configuration: dict[str, Any] | None) -> None:
            self._check_destinations(bucket, configuration or {})
            set_configuration(bucket, configuration)

        patches.replace(FakeBucket, "set_notification_configuration", checked)

    def start(self) -> None:
        """Go on with the events that waited."""
        self._invocations.pick_up()

    def close(self) -> None:
        """Kill what runs; its event is still among those that wait."""
        self._runner.close()

    def _backend(self) -> Any:
        return lambda_backends[self._surroundings.account_id][self._surroundings.region]

    def _pending(self) -> dict[str, Pending]:
        backend = self._backend()
        if not hasattr(backend, "pending_events"):
            backend.pending_events = {}
        pending: dict[str, Pending] = backend.pending_events
        return pending

    def _find(self, name_or_arn: str) -> Function | None:
        with self._lock:
            try:
                return read(self._backend().get_function(name_or_arn))
            except UnknownFunctionException:
                return None

    def _invoke(
        self, name: str, qualifier: str | None, body: Any, headers: Any, answer: dict[str, str]
    ) -> bytes:
        """Take the place of LambdaBackend.invoke, called without the lock: a function may run for minutes."""
        event = body.decode() if isinstance(body, bytes) else str(body or "{}")
        kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
        _check_event(event, is_later=kind == "Event")
        with self._lock:
            function = read(self._backend().get_function(name, qualifier))
        payload = b""
        if kind == "Event":
            self._invocations.later(name, event)
        elif kind == "RequestResponse":
            outcome = self._invocations.run(function, event)
            payload = outcome.payload.encode()
            answer["x-amz-executed-version"] = function.version
            if outcome.is_error:
                answer["x-amz-function-error"] = "Unhandled"
        answer["Content-Length"] = str(len(payload))
        return payload

    def _from_topic(
        self, name: str, message: str, subject: str | None = None, qualifier: str | None = None
    ) -> None:
        del qualifier
        record = {"EventSource": "aws:sns", "EventVersion": "1.0"}
        sns = {"Type": "Notification", "Message": message, "Subject": subject}
        self._invocations.later(name, json.dumps({"Records": [record | {"Sns": sns}]}))

    def _send_event(self, account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
        del account_id
        self._notifications.send(event_name, bucket, key, current_environ.get())

    def _send_test_event(self, account_id: str, bucket: Any) -> None:
        del account_id
        self._notifications.send_test(bucket)

    def _check_destinations(self, bucket: Any, configuration: dict[str, Any]) -> None:
        """Refuse functions that don't exist or don't let S3 invoke them, as S3 does.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
        """
        wanted = configuration.get("CloudFunctionConfiguration") or []
        for each in wanted if isinstance(wanted, list) else [wanted]:
            arn = str(each["CloudFunction"])
            if not self._lets_s3_invoke(arn, bucket):
                raise AwsError(
                    "InvalidArgument", "Unable to validate the following destination configurations"
                )

    def _lets_s3_invoke(self, arn: str, bucket: Any) -> bool:
        try:
            function = self._backend().get_function(arn)
        except UnknownFunctionException:
            return False
        keys = {"aws:sourcearn": bucket.arn, "aws:sourceaccount": bucket.account_id}
        return any(
            statement.get("Effect") == "Allow"
            and statement.get("Principal") in ({"Service": "s3.amazonaws.com"}, "*")
            and statement.get("Action") in ("lambda:InvokeFunction", "lambda:*")
            and is_met(statement.get("Condition") or {}, keys)
            for statement in function.policy.statements
        )


def _check_event(event: str, *, is_later: bool) -> None:
    size = len(event.encode())
    if size > (_MOST_BYTES_LATER if is_later else _MOST_BYTES):
        raise too_large(size)
    try:
        json.loads(event)
    except ValueError as exc:
        message = f"Could not parse request body into json: {exc}"
        raise AwsError("InvalidRequestContentException", message) from exc


def _create_with_dead_letters(patches: Patches) -> None:
    """Keep the dead-letter queue of a function, which moto drops, and refuse what can't be run."""
    create, update = LambdaBackend.create_function, LambdaBackend.update_function_configuration

    def create_function(backend: Any, spec: dict[str, Any]) -> Any:
        refuse_unknown_kinds(spec)
        function: Any = create(backend, spec)
        function.dead_letter_arn = (spec.get("DeadLetterConfig") or {}).get("TargetArn", "")
        return function

    def update_function_configuration(
        backend: Any, function_name: str, qualifier: Any, body: dict[str, Any]
    ) -> Any:
        answer = update(backend, function_name, qualifier, body)
        if "DeadLetterConfig" in body:
            function = backend.get_function(function_name, qualifier)
            function.dead_letter_arn = (body["DeadLetterConfig"] or {}).get("TargetArn", "")
        return answer

    patches.replace(LambdaBackend, "create_function", create_function)
    patches.replace(LambdaBackend, "update_function_configuration", update_function_configuration)
