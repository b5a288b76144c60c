# SPDX-License-Identifier: Apache-2.0
"""React to uploads: write the variants to the content bucket and a copy of the original to the backup bucket.

Safe to repeat: the same upload always gives the same objects. What can never succeed goes to the dead-letter
queue with a reason and counts as done; everything else raises, and AWS tries again, a few times.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import boto3
from botocore.exceptions import ClientError

from image_variants import variants

log = logging.getLogger()
log.setLevel(logging.INFO)

MAX_BYTES = 100 * 1024 * 1024
# Somebody may replace the file while it is worked on.
MAX_ROUNDS = 3
CACHE_FOR = "public, max-age=31536000"
_GONE = frozenset({"NoSuchKey", "404", "NoSuchVersion"})
_REPLACED = frozenset({"PreconditionFailed", "412"})


@dataclass(frozen=True, slots=True)
class Places:
    """Where things go."""

    content_bucket: str
    originals_bucket: str
    dead_letter_queue_url: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An object that was written."""

    bucket: str
    key: str


def handle(event: Mapping[str, Any], _context: object) -> dict[str, int]:
    """Work through the uploads of an S3 event; return how many gave variants and how many were refused."""
    counts = {"made": 0, "refused": 0, "gone": 0}
    for upload in uploads(event):
        counts[_settle(upload)] += 1
    return counts


def uploads(event: Mapping[str, Any]) -> Iterator[Upload]:
    """Give the objects an S3 event tells of; S3's own test event tells of none.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    for record in event.get("Records", ()):
        s3 = record["s3"]
        yield Upload(s3["bucket"]["name"], unquote_plus(s3["object"]["key"]))


def _settle(upload: Upload) -> str:
    try:
        return "made" if _process(upload) else "gone"
    except variants.Unusable as reason:
        _refuse(upload, str(reason))
        return "refused"


def _process(upload: Upload) -> bool:
    """Make everything of the newest version; False when there is none any more."""
    for _ in range(MAX_ROUNDS):
        try:
            etag, body = _fetch(upload)
            _write(upload, body)
            _keep_original(upload, etag)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _GONE:
                return False
            if code not in _REPLACED:
                raise
            continue
        return True
    raise RuntimeError(f"{upload.bucket}/{upload.key} was replaced {MAX_ROUNDS} times while it was read")


def _fetch(upload: Upload) -> tuple[str, bytes]:
    answer = _client("s3").get_object(Bucket=upload.bucket, Key=upload.key)
    if answer["ContentLength"] > MAX_BYTES:
        raise variants.Unusable(
            f"it has {answer['ContentLength']} bytes, and {MAX_BYTES} are the most allowed"
        )
    return answer["ETag"], answer["Body"].read()


def _write(upload: Upload, body: bytes) -> None:
    for variant in variants.make(body, _settings()):
        _client("s3").put_object(
            Bucket=_places().content_bucket,
            Key=variant_key(upload.key, variant),
            Body=variant.body,
            ContentType=variant.content_type,
            CacheControl=CACHE_FOR,
            Metadata={"width": str(variant.width), "height": str(variant.height)},
        )


def variant_key(key: str, variant: variants.Variant) -> str:
    """Return where a variant of the upload `key` is: below it, so that no two uploads can meet."""
    return f"variants/{key}/{variant.name}.{variant.extension}"


def _keep_original(upload: Upload, etag: str) -> None:
    """Copy what was read, and only that: a replaced file begins again with its newest version."""
    _client("s3").copy_object(
        Bucket=_places().originals_bucket,
        Key=f"originals/{upload.key}",
        CopySource={"Bucket": upload.bucket, "Key": upload.key},
        CopySourceIfMatch=etag,
    )


def _refuse(upload: Upload, reason: str) -> None:
    log.warning("refused %s/%s: %s", upload.bucket, upload.key, reason)
    letter = {"bucket": upload.bucket, "key": upload.key, "reason": reason}
    _client("sqs").send_message(QueueUrl=_places().dead_letter_queue_url, MessageBody=json.dumps(letter))


@cache
def _client(service: str) -> Any:
    return boto3.client(service)


@cache
def _places() -> Places:
    environ = os.environ
    return Places(environ["CONTENT_BUCKET"], environ["ORIGINALS_BUCKET"], environ["DEAD_LETTER_QUEUE_URL"])


@cache
def _settings() -> variants.Settings:
    return variants.Settings(
        sizes=json.loads(os.environ["SIZES"]),
        quality=int(os.environ["QUALITY"]),
        max_megapixels=int(os.environ["MAX_MEGAPIXELS"]),
    )
