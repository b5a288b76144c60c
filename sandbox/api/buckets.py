# SPDX-License-Identifier: Apache-2.0
"""Correct moto's S3 where it drops configurations of a bucket or accepts what AWS would not.

Access logs are kept as configuration only: moto writes invented lines of one kind, this region writes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.s3.exceptions import (
    BucketAlreadyExists,
    DuplicateTagKeys,
    MalformedXML,
    NoSuchLifecycleConfiguration,
    NoSystemTags,
)
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response

from sandbox.api import bucket_notifications
from sandbox.api.errors import AwsError
from sandbox.api.own_operations import parameters_of
from sandbox.api.patches import Patches
from sandbox.own_calls import is_own

_ATTRIBUTE = "slipway_configurations"
_MINIMUM_SIZE = "all_storage_classes_128K"
_ACTIONS = (
    "Expiration",
    "Transitions",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionTransitions",
    "AbortIncompleteMultipartUpload",
)

Answer = tuple[int, dict[str, str], str]


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(S3Backend, "create_bucket", _create(S3Backend.create_bucket))
    patches.replace(S3Response, "_bucket_response_put", _put(S3Response._bucket_response_put))
    patches.replace(S3Response, "_bucket_tagging_from_body", _bucket_tags)
    patches.replace(S3Response, "get_bucket_lifecycle", _get_lifecycle)
    patches.replace(S3Response, "delete_bucket_lifecycle", _delete_lifecycle)
    patches.replace(S3Response, "get_bucket_logging", _get_logging)
    bucket_notifications.install(patches)


def _create(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_bucket(backend: Any, bucket_name: str, *arguments: Any, **named: Any) -> Any:
        """Know the buckets of a region that was restored; moto keeps the list of names elsewhere."""
        if bucket_name in backend.buckets:
            raise BucketAlreadyExists(bucket=bucket_name)
        return original(backend, bucket_name, *arguments, **named)

    return create_bucket


def _bucket_tags(response: Any) -> dict[str, str]:
    """Return the tags that are put. Only AWS itself, which CloudFormation is, gives and takes aws: tags."""
    parsed = parsed_as(response, "PutBucketTagging")
    tags = parsed["Tagging"].get("TagSet") or []
    given = {tag["Key"]: tag.get("Value", "") for tag in tags}
    if len(given) < len(tags):
        raise DuplicateTagKeys()
    bucket = response.backend.get_bucket(response.bucket_name)
    present = response.backend.tagger.get_tag_dict_for_resource(bucket.arn)
    is_aws = is_own(response.headers.get("Authorization", ""))
    if not is_aws and _of_system(given) != _of_system(present):
        raise NoSystemTags()
    return given


def _of_system(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.startswith("aws:")}


def parsed_as(response: Any, operation: str) -> dict[str, Any]:
    """Parse a request to S3: moto names S3's operations by the permissions that they need."""
    response._get_action_from_method_and_request_uri(response.normalized_request)
    response.data["Action"] = operation
    return parameters_of(response)


def _configurations(response: Any) -> dict[str, Any]:
    bucket = response.backend.get_bucket(response.bucket_name)
    kept: dict[str, Any] = vars(bucket).setdefault(_ATTRIBUTE, {})
    return kept


def _put(original: Callable[..., Any]) -> Callable[..., Any]:
    own = {
        "lifecycle": ("PutBucketLifecycleConfiguration", _put_lifecycle),
        "logging": ("PutBucketLogging", _put_logging),
    }

    def put(response: Any, request: Any, bucket_name: str, querystring: Mapping[str, Any]) -> Any:
        """Keep as a whole what moto keeps in part."""
        subresource = next((name for name in own if name in querystring), None)
        if subresource is None:
            return original(response, request, bucket_name, querystring)
        response._set_action("BUCKET", "PUT", querystring)
        response._authenticate_and_authorize_s3_action(bucket_name=bucket_name)
        operation, keep = own[subresource]
        keep(response, parsed_as(response, operation))
        return 200, {}, ""

    return put


def _put_lifecycle(response: Any, parameters: Mapping[str, Any]) -> None:
    rules = (parameters.get("LifecycleConfiguration") or {}).get("Rules") or []
    for number, rule in enumerate(rules):
        _check_rule(rule)
        rule.setdefault("ID", f"rule-{number + 1}")
    _configurations(response)["lifecycle"] = {
        "Rules": rules,
        "TransitionDefaultMinimumObjectSize": parameters.get("TransitionDefaultMinimumObjectSize")
        or _MINIMUM_SIZE,
    }


def _check_rule(rule: Mapping[str, Any]) -> None:
    """Refuse what S3 refuses.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
    """
    expiration = rule.get("Expiration") or {}
    if ("Filter" in rule) == ("Prefix" in rule) or (
        expiration.get("ExpiredObjectDeleteMarker") is not None and len(expiration) > 1
    ):
        raise MalformedXML()
    if not any(rule.get(action) for action in _ACTIONS):
        raise AwsError("InvalidRequest", "At least one action needs to be specified in a rule")


def _get_lifecycle(response: Any) -> Any:
    kept = _configurations(response).get("lifecycle") or {}
    if not kept.get("Rules"):
        raise NoSuchLifecycleConfiguration(bucket_name=response.bucket_name)
    response.data["Action"] = "GetBucketLifecycleConfiguration"
    return response.serialized(ActionResult(kept))


def _delete_lifecycle(response: Any) -> Answer:
    _configurations(response).pop("lifecycle", None)
    return 204, {}, ""


def _put_logging(response: Any, parameters: Mapping[str, Any]) -> None:
    enabled = (parameters.get("BucketLoggingStatus") or {}).get("LoggingEnabled")
    if enabled and enabled["TargetBucket"] not in response.backend.buckets:
        message = "The target bucket for logging does not exist"
        raise AwsError("InvalidTargetBucketForLogging", message)
    _configurations(response)["logging"] = {"LoggingEnabled": enabled} if enabled else {}


def _get_logging(response: Any) -> Any:
    response.data["Action"] = "GetBucketLogging"
    return response.serialized(ActionResult(_configurations(response).get("logging", {})))
