# SPDX-License-Identifier: Apache-2.0
"""The config bucket on S3. Encryption at rest is the bucket's own default."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orchestrator.aws.session import AwsSession, retry_while, translated
from orchestrator.clock import Clock
from orchestrator.errors import AwsError, NotFound
from orchestrator.ports import StoredObject

# S3 could not decide the condition because another write was under way, and asks to be called again:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_UNDECIDED = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_DECISION_LIMIT = timedelta(seconds=20)
_DID_NOT_HOLD = frozenset({"PreconditionFailed", "NoSuchKey"})


class S3Objects:
    """The objects of one bucket."""

    def __init__(self, session: AwsSession, bucket: str, clock: Clock) -> None:
        self._session = session
        self._bucket = bucket
        self._clock = clock

    @property
    def _s3(self) -> Any:
        return self._session.client("s3")

    def get(self, key: str) -> StoredObject | None:
        """Return the object, or None."""
        try:
            return self._get(key)
        except NotFound as exc:
            if exc.code != "NoSuchKey":  # a bucket that does not exist is no answer
                raise
            return None

    @translated
    def _get(self, key: str) -> StoredObject:
        answer = self._s3.get_object(Bucket=self._bucket, Key=key)
        with answer["Body"] as body:
            return StoredObject(key, body.read(), answer["ETag"])

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str = "") -> str | None:
        """Write the object and return its etag, or None when the condition did not hold."""
        condition = {"IfNoneMatch": "*"} if if_none_match else {"IfMatch": if_match} if if_match else {}
        try:
            return retry_while(
                _UNDECIDED,
                lambda: self._put(key, body, condition),
                clock=self._clock,
                limit=_DECISION_LIMIT,
            )
        except AwsError as exc:
            if condition and exc.code in _DID_NOT_HOLD:
                return None
            raise

    @translated
    def _put(self, key: str, body: bytes, condition: dict[str, str]) -> str:
        etag: str = self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, **condition)["ETag"]
        return etag

    def delete(self, key: str, *, if_match: str = "") -> bool:
        """Delete the object; return False when the condition did not hold."""
        condition = {"IfMatch": if_match} if if_match else {}
        try:
            retry_while(
                _UNDECIDED, lambda: self._delete(key, condition), clock=self._clock, limit=_DECISION_LIMIT
            )
        except AwsError as exc:
            if condition and exc.code in _DID_NOT_HOLD:
                return False
            raise
        return True

    @translated
    def _delete(self, key: str, condition: dict[str, str]) -> None:
        self._s3.delete_object(Bucket=self._bucket, Key=key, **condition)

    @translated
    def keys(self, prefix: str) -> tuple[str, ...]:
        """Return the keys that begin with `prefix`."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return tuple(entry["Key"] for page in pages for entry in page.get("Contents", ()))
