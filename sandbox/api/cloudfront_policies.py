# SPDX-License-Identifier: Apache-2.0
"""CloudFront's origin access controls and policies, which distributions name by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records

# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
# and the pages of the same name for origin request and response headers policies.
MANAGED = {
    "CachePolicy": {
        "658327ea-f89d-4fab-a63d-7e88639e58f6": "Managed-CachingOptimized",
        "b2884449-e4de-46a7-ac36-70bc7f1ddd6d": "Managed-CachingOptimizedForUncompressedObjects",
        "4135ea2d-6df8-44a3-9df3-4b5a84be39ad": "Managed-CachingDisabled",
    },
    "OriginRequestPolicy": {
        "216adef6-5c7f-47e4-b989-5492eafa07d3": "Managed-AllViewer",
        "b689b0a8-53d0-40ab-baf2-68738e2966ac": "Managed-AllViewerExceptHostHeader",
        "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf": "Managed-CORS-S3Origin",
    },
    "ResponseHeadersPolicy": {
        "60669652-455b-4ae9-85a4-c4c02393f86c": "Managed-SimpleCORS",
        "67f7725c-6f97-4210-82d7-5512b31e9d03": "Managed-SecurityHeadersPolicy",
        "5cc3b908-e619-4b99-88e5-2cf7f45965bd": "Managed-CORS-With-Preflight",
        "e61eb60c-9c35-4d20-a928-2b84e02af89c": "Managed-CORS-and-SecurityHeadersPolicy",
        "eaab4381-ed33-4a86-88ca-d9558dc6cd63": "Managed-CORS-with-preflight-and-SecurityHeadersPolicy",
    },
}


def describe(noun: str) -> Callable[[str, Mapping[str, Any]], dict[str, Any]]:
    """Return how one of a kind shows itself."""

    def describe_one(identifier: str, record: Mapping[str, Any]) -> dict[str, Any]:
        shown = {"Id": identifier, f"{noun}Config": record["configuration"]}
        return shown if noun == "OriginAccessControl" else shown | {"LastModifiedTime": record["modified"]}

    return describe_one


def check_name(noun: str) -> Callable[[Records, str | None, Parameters], None]:
    """Return a check that no other has the name."""

    def check(records: Records, identifier: str | None, configuration: Parameters) -> None:
        for other, record in records.get(noun, {}).items():
            if other != identifier and record["configuration"]["Name"] == configuration["Name"]:
                message = f"{noun} with the same name {configuration['Name']} already exists."
                raise AwsError(f"{noun}AlreadyExists", message)

    return check


def check_unused(noun: str) -> Callable[[Records, str, Mapping[str, Any]], None]:
    """Return a check that no distribution uses it."""

    def check(records: Records, identifier: str, _: Mapping[str, Any]) -> None:
        for record in records.get("Distribution", {}).values():
            if any(user.get(f"{noun}Id") == identifier for user in _users(record["configuration"])):
                raise AwsError(f"{noun}InUse", f"The {noun} {identifier} is attached to a distribution.")

    return check


def _users(distribution: Parameters) -> Iterator[Mapping[str, Any]]:
    yield distribution["DefaultCacheBehavior"]
    yield from distribution.get("CacheBehaviors", {}).get("Items") or []
    yield from distribution["Origins"]["Items"]


def list_controls(records: Records, _: Parameters) -> dict[str, Any]:
    """Return all origin access controls."""
    items = [
        {"Id": identifier, **record["configuration"]}
        for identifier, record in records.get("OriginAccessControl", {}).items()
    ]
    return {"OriginAccessControlList": page(items)}


def list_policies(noun: str) -> Operation:
    """Return how the policies of a kind are listed."""
    describe_one = describe(noun)

    def listing(records: Records, _: Parameters) -> dict[str, Any]:
        items = [
            {"Type": "custom", noun: describe_one(identifier, record)}
            for identifier, record in records.get(noun, {}).items()
        ]
        page = {"MaxItems": 100, "Quantity": len(items), "Items": items}
        return {f"{noun}List": page}

    return listing


def page(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a list as one page."""
    return {"Marker": "", "MaxItems": 100, "IsTruncated": False, "Quantity": len(items), "Items": items}
