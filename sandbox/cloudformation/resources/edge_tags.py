# SPDX-License-Identifier: Apache-2.0
"""Tags of CloudFront's resources."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, Properties
from sandbox.cloudformation.resources import tagging


def shown(call: Call, arn: str) -> dict[str, Any]:
    """Return the property Tags."""
    answer = call.client("cloudfront").list_tags_for_resource(Resource=arn)
    return tagging.shown(answer["Tags"].get("Items", []))


def retag(call: Call, arn: str, *, before: Properties, after: Properties) -> None:
    """Bring the tags to what a template has now."""
    client = call.client("cloudfront")
    change = tagging.change(call, before, after)
    client.tag_resource(Resource=arn, Tags={"Items": tagging.as_list(change.put)})
    if change.removed:
        client.untag_resource(Resource=arn, TagKeys={"Items": change.removed})
