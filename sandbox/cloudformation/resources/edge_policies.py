# SPDX-License-Identifier: Apache-2.0
"""What CloudFront distributions refer to by id: origin access controls, cache and headers policies."""

from __future__ import annotations

from typing import Any

from botocore import xform_name

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.api_shapes import to_api, to_template
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent


class EdgePolicies:
    """One type of them; `noun` is its name in the API."""

    def __init__(self, noun: str, *, keeps_items: bool = False) -> None:
        self.type_name = f"AWS::CloudFront::{noun}"
        self._noun = noun
        self._configuration = f"{noun}Config"
        self._keeps_items = keeps_items
        self.properties = frozenset({self._configuration})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make it."""
        return self._physical(self._do(call, "Create", **self._given(call, properties)))

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return its configuration."""
        answer = unless_absent(lambda: self._do(call, "Get", Id=physical_id), f"NoSuch{self._noun}")
        if answer is None:
            return None
        configuration = answer[self._noun][self._configuration]
        shown = to_template(self._shape(call), configuration, keeps_items=self._keeps_items)
        return {self._configuration: shown}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put another configuration in place."""
        del before
        etag = self._do(call, "Get", Id=physical_id)["ETag"]
        given = self._given(call, after)
        return self._physical(self._do(call, "Update", Id=physical_id, IfMatch=etag, **given))

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove it; AWS refuses while a distribution uses it."""
        del properties
        with absent_is_fine(f"NoSuch{self._noun}"):
            etag = self._do(call, "Get", Id=physical_id)["ETag"]
            self._do(call, "Delete", Id=physical_id, IfMatch=etag)

    def _do(self, call: Call, verb: str, **parameters: Any) -> Any:
        return getattr(call.client("cloudfront"), xform_name(f"{verb}{self._noun}"))(**parameters)

    def _shape(self, call: Call) -> Any:
        return call.client("cloudfront").meta.service_model.shape_for(self._configuration)

    def _given(self, call: Call, properties: Properties) -> dict[str, Any]:
        return {self._configuration: to_api(self._shape(call), properties[self._configuration])}

    def _physical(self, answer: Any) -> Physical:
        made = answer[self._noun]
        attributes = {"Id": made["Id"]}
        if "LastModifiedTime" in made:
            attributes["LastModifiedTime"] = made["LastModifiedTime"].isoformat()
        return Physical(made["Id"], attributes)


HANDLERS = (
    EdgePolicies("OriginAccessControl"),
    EdgePolicies("CachePolicy"),
    EdgePolicies("ResponseHeadersPolicy", keeps_items=True),
)
