# SPDX-License-Identifier: Apache-2.0
"""Lifecycle rules, CORS rules and notifications of buckets, as a template has them and as S3 has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CORS = {
    "AllowedHeaders": "AllowedHeaders",
    "AllowedMethods": "AllowedMethods",
    "AllowedOrigins": "AllowedOrigins",
    "ExposedHeaders": "ExposeHeaders",
    "Id": "ID",
    "MaxAge": "MaxAgeSeconds",
}
_TRANSITION = {"StorageClass": "StorageClass", "TransitionInDays": "Days", "TransitionDate": "Date"}
_NONCURRENT_TRANSITION = {
    "StorageClass": "StorageClass",
    "TransitionInDays": "NoncurrentDays",
    "NewerNoncurrentVersions": "NewerNoncurrentVersions",
}
_EXPIRATION = {
    "ExpirationInDays": "Days",
    "ExpirationDate": "Date",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
_SAME = ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration", "Status")
_SIZES = ("ObjectSizeGreaterThan", "ObjectSizeLessThan")
# The list of a template: the name of one destination in it, the API's list, and its name there.
_NOTIFICATIONS = {
    "LambdaConfigurations": ("Function", "LambdaFunctionConfigurations", "LambdaFunctionArn"),
    "QueueConfigurations": ("Queue", "QueueConfigurations", "QueueArn"),
    "TopicConfigurations": ("Topic", "TopicConfigurations", "TopicArn"),
}
RULE_PROPERTIES = (
    *_EXPIRATION,
    *_SAME,
    *_SIZES,
    "Id",
    "NoncurrentVersionTransitions",
    "Prefix",
    "TagFilters",
    "Transitions",
)


def lifecycle_to_api(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule as S3 takes it."""
    ready = {name: rule[name] for name in _SAME if name in rule}
    ready["Filter"] = _filter(rule)
    if "Id" in rule:
        ready["ID"] = rule["Id"]
    if expiration := _renamed(rule, _EXPIRATION):
        ready["Expiration"] = expiration
    if "Transitions" in rule:
        ready["Transitions"] = [_renamed(each, _TRANSITION) for each in rule["Transitions"]]
    if "NoncurrentVersionTransitions" in rule:
        moves = [_renamed(each, _NONCURRENT_TRANSITION) for each in rule["NoncurrentVersionTransitions"]]
        ready["NoncurrentVersionTransitions"] = moves
    return ready


def lifecycle_to_template(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule of S3's as a template has it."""
    shown = {name: rule[name] for name in _SAME if name in rule}
    shown |= _filter_shown(rule)
    if "ID" in rule:
        shown["Id"] = rule["ID"]
    shown |= _renamed(_dates_as_text(rule.get("Expiration", {})), _back(_EXPIRATION))
    if "Transitions" in rule:
        back = _back(_TRANSITION)
        shown["Transitions"] = [_renamed(_dates_as_text(each), back) for each in rule["Transitions"]]
    if "NoncurrentVersionTransitions" in rule:
        back = _back(_NONCURRENT_TRANSITION)
        shown["NoncurrentVersionTransitions"] = [
            _renamed(each, back) for each in rule["NoncurrentVersionTransitions"]
        ]
    return shown


def cors_to_api(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a CORS rule as S3 takes it."""
    return _renamed(rule, _CORS)


def cors_to_template(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a CORS rule of S3's as a template has it."""
    return _renamed(rule, _back(_CORS))


def notifications_to_api(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return notifications as S3 takes them."""
    ready: dict[str, Any] = {}
    for name, (destination, api_name, arn) in _NOTIFICATIONS.items():
        if listed := configuration.get(name):
            ready[api_name] = [_notification(each, destination, arn) for each in listed]
    if configuration.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled"):
        ready["EventBridgeConfiguration"] = {}
    return ready


def notifications_to_template(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return S3's notifications as a template has them: one entry an event."""
    shown: dict[str, Any] = {}
    for name, (destination, api_name, arn) in _NOTIFICATIONS.items():
        entries = [
            {"Event": event, destination: each[arn], **_key_filter(each)}
            for each in configuration.get(api_name, ())
            for event in each["Events"]
        ]
        if entries:
            shown[name] = entries
    if "EventBridgeConfiguration" in configuration:
        shown["EventBridgeConfiguration"] = {"EventBridgeEnabled": True}
    return shown


def _notification(entry: Mapping[str, Any], destination: str, arn: str) -> dict[str, Any]:
    ready = {arn: entry[destination], "Events": [entry["Event"]]}
    if "Filter" in entry:
        ready["Filter"] = {"Key": {"FilterRules": entry["Filter"]["S3Key"]["Rules"]}}
    return ready


def _key_filter(entry: Mapping[str, Any]) -> dict[str, Any]:
    rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules")
    return {"Filter": {"S3Key": {"Rules": rules}}} if rules else {}


def _filter(rule: Mapping[str, Any]) -> dict[str, Any]:
    parts = {name: int(rule[name]) for name in _SIZES if name in rule}
    if "Prefix" in rule:
        parts["Prefix"] = rule["Prefix"]
    tags = rule.get("TagFilters", [])
    if not parts and not tags:
        return {"Prefix": ""}
    if len(parts) + len(tags) == 1:
        return {"Tag": tags[0]} if tags else parts
    return {"And": parts | ({"Tags": tags} if tags else {})}


def _filter_shown(rule: Mapping[str, Any]) -> dict[str, Any]:
    given = rule.get("Filter", {})
    parts = given.get("And", given)
    shown = {name: str(parts[name]) for name in _SIZES if name in parts}
    if prefix := parts.get("Prefix", rule.get("Prefix")):
        shown["Prefix"] = prefix
    tags = parts.get("Tags") or ([parts["Tag"]] if "Tag" in parts else [])
    return shown | ({"TagFilters": tags} if tags else {})


def _renamed(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names[name]: each for name, each in value.items() if name in names}


def _back(names: Mapping[str, str]) -> dict[str, str]:
    return {api: template for template, api in names.items()}


def _dates_as_text(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: each.strftime("%Y-%m-%dT%H:%M:%SZ") if name == "Date" else each for name, each in value.items()
    }
