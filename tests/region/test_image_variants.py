# SPDX-License-Identifier: Apache-2.0
"""The function image_variants against a region: what it writes and refuses, and that it can be repeated."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from image_variants import handler
from tests.region.conftest import REGION, LocalRegion
from tests.unit.functions.samples import picture, saved

UPLOADS, CONTENT, ORIGINALS = "pictures-uploads", "pictures-content", "pictures-originals"


@pytest.fixture(name="letters", autouse=True)
def fixture_letters(local: LocalRegion, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the buckets and the queue, and tell the function of them; return the queue's URL."""
    for bucket in (UPLOADS, CONTENT, ORIGINALS):
        local.client("s3").create_bucket(Bucket=bucket)
    url = str(local.client("sqs").create_queue(QueueName="letters")["QueueUrl"])
    environ = {
        "CONTENT_BUCKET": CONTENT,
        "ORIGINALS_BUCKET": ORIGINALS,
        "DEAD_LETTER_QUEUE_URL": url,
        "SIZES": json.dumps({"thumb": 16}),
        "QUALITY": "80",
        "MAX_MEGAPIXELS": "10",
        "AWS_ENDPOINT_URL": local.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "anything",
        "AWS_SECRET_ACCESS_KEY": "goes",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for cached in (handler._client, handler._places, handler._settings):
        cached.cache_clear()
    return url


def event(*keys: str) -> dict[str, Any]:
    return {"Records": [{"s3": {"bucket": {"name": UPLOADS}, "object": {"key": key}}} for key in keys]}


def upload(local: LocalRegion, key: str, body: bytes) -> None:
    local.client("s3").put_object(Bucket=UPLOADS, Key=key, Body=body, ContentType="image/png")


def keys(local: LocalRegion, bucket: str) -> list[str]:
    return [each["Key"] for each in local.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def content(local: LocalRegion) -> dict[str, bytes]:
    s3 = local.client("s3")
    return {key: s3.get_object(Bucket=CONTENT, Key=key)["Body"].read() for key in keys(local, CONTENT)}


def refusals(local: LocalRegion, url: str) -> list[dict[str, str]]:
    messages = local.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def test_an_upload_gives_variants_and_a_copy_of_the_original(local: LocalRegion) -> None:
    original = saved("PNG", picture(size=(64, 32)))
    upload(local, "a b/ü.png", original)
    assert handler.handle(event("a+b/%C3%BC.png"), None) == {"made": 1, "refused": 0, "gone": 0}
    made = content(local)
    assert sorted(made) == ["variants/a b/ü.png/thumb.jpg", "variants/a b/ü.png/thumb.webp"]
    assert Image.open(io.BytesIO(made["variants/a b/ü.png/thumb.webp"])).size == (16, 8)
    copy = local.client("s3").get_object(Bucket=ORIGINALS, Key="originals/a b/ü.png")
    assert copy["Body"].read() == original
    answer = local.client("s3").head_object(Bucket=CONTENT, Key="variants/a b/ü.png/thumb.webp")
    assert (answer["ContentType"], answer["Metadata"]) == ("image/webp", {"width": "16", "height": "8"})


def test_it_may_be_repeated(local: LocalRegion) -> None:
    upload(local, "k.png", saved("PNG"))
    handler.handle(event("k.png"), None)
    first = content(local)
    handler.handle(event("k.png", "k.png"), None)
    assert content(local) == first


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"no image at all", "it is no image"), (saved("PNG", picture(size=(99, 99)))[:-60], "it is cut short")],
    ids=["no image", "half an image"],
)
def test_what_is_no_image_is_refused_with_a_reason_and_not_retried(
    local: LocalRegion, letters: str, body: bytes, reason: str
) -> None:
    upload(local, "k.png", body)
    assert handler.handle(event("k.png"), None) == {"made": 0, "refused": 1, "gone": 0}
    assert content(local) == {}
    [letter] = refusals(local, letters)
    assert (letter["bucket"], letter["key"]) == (UPLOADS, "k.png")
    assert letter["reason"].startswith(reason)


def test_an_upload_that_is_too_large_is_refused_unread(
    local: LocalRegion, letters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "MAX_BYTES", 10)
    upload(local, "k.png", saved("PNG"))
    handler.handle(event("k.png"), None)
    assert "10 are the most allowed" in refusals(local, letters)[0]["reason"]


def test_an_upload_that_was_deleted_since_is_nothing_to_do(local: LocalRegion, letters: str) -> None:
    assert handler.handle(event("gone.png"), None) == {"made": 0, "refused": 0, "gone": 1}
    assert refusals(local, letters) == []


def test_one_bad_file_does_not_keep_others_from_being_made(local: LocalRegion) -> None:
    upload(local, "bad.png", b"bad")
    upload(local, "good.png", saved("PNG"))
    assert handler.handle(event("bad.png", "good.png"), None) == {"made": 1, "refused": 1, "gone": 0}


def test_a_file_that_is_replaced_meanwhile_is_made_again(
    local: LocalRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(local, "k.png", saved("PNG", picture(size=(64, 64))))
    fetch, newer = handler._fetch, [saved("PNG", picture(size=(64, 16)))]

    def replaced_after_reading(uploaded: handler.Upload) -> tuple[str, bytes]:
        found = fetch(uploaded)
        if newer:
            upload(local, "k.png", newer.pop())
        return found

    monkeypatch.setattr(handler, "_fetch", replaced_after_reading)
    handler.handle(event("k.png"), None)
    assert Image.open(io.BytesIO(content(local)["variants/k.png/thumb.webp"])).size == (16, 4)


def test_the_test_event_of_a_bucket_is_nothing_to_do() -> None:
    test_event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": UPLOADS}
    assert handler.handle(test_event, None) == {"made": 0, "refused": 0, "gone": 0}
