# SPDX-License-Identifier: Apache-2.0
"""Lambda functions."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

GONE = ("ResourceNotFoundException",)
NAME_LENGTH = 64
_INLINE_FILE = "index.py"
_NAMES = {"KmsKeyArn": "KMSKeyArn"}
# What can be changed, with what AWS has when nothing is said.
_DEFAULTS: Mapping[str, Any] = {
    "DeadLetterConfig": {"TargetArn": ""},
    "Description": "",
    "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512},
    "Handler": None,
    "KmsKeyArn": "",
    "LoggingConfig": {"LogFormat": "Text"},
    "MemorySize": 128,
    "Role": None,
    "Runtime": None,
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}


class Functions:
    """AWS::Lambda::Function."""

    type_name = "AWS::Lambda::Function"
    properties = frozenset(
        {
            *_DEFAULTS,
            "Architectures",
            "Code.S3Bucket",
            "Code.S3Key",
            "Code.ZipFile",
            "FunctionName",
            "PackageType",
            "ReservedConcurrentExecutions",
            "Tags",
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the function."""
        client = call.client("lambda")
        name = properties.get("FunctionName") or call.name[:NAME_LENGTH]
        given = {key: properties[key] for key in ("Architectures", "PackageType") if key in properties}
        made = client.create_function(
            FunctionName=name,
            Code=_code(properties["Code"]),
            Tags=tagging.wanted(call, properties),
            **given,
            **_configuration(properties),
        )
        with undone_by(lambda: self.delete(call, name, properties)):
            _reserve(client, name, properties)
        return _physical(made)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return how it is configured. AWS does not tell where its code came from."""
        client = call.client("lambda")
        answer = unless_absent(lambda: client.get_function(FunctionName=physical_id), *GONE)
        if answer is None:
            return None
        configuration = answer["Configuration"]
        names = [*_DEFAULTS, "Architectures", "FunctionName", "PackageType"]
        shown = {
            name: configuration[_NAMES.get(name, name)]
            for name in names
            if configuration.get(_NAMES.get(name, name)) not in (None, "")
        }
        reserved = client.get_function_concurrency(FunctionName=physical_id)
        if (executions := reserved.get("ReservedConcurrentExecutions")) is not None:
            shown["ReservedConcurrentExecutions"] = executions
        return shown | tagging.shown(tagging.as_list(answer.get("Tags", {})))

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change configuration and code."""
        client = call.client("lambda")
        removed = {name: _DEFAULTS[name] for name in set(_DEFAULTS) & set(before) - set(after)}
        changed = client.update_function_configuration(
            FunctionName=physical_id, **_configuration({**removed, **after})
        )
        if (before.get("Code"), before.get("Architectures")) != (after["Code"], after.get("Architectures")):
            client.update_function_code(
                FunctionName=physical_id,
                Architectures=after.get("Architectures", ["x86_64"]),
                **_code(after["Code"]),
            )
        _reserve(client, physical_id, after)
        _retag(call, changed["FunctionArn"], before=before, after=after)
        return _physical(changed)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove it with its versions."""
        del properties
        with absent_is_fine(*GONE):
            call.client("lambda").delete_function(FunctionName=physical_id)


def _physical(configuration: Mapping[str, Any]) -> Physical:
    return Physical(configuration["FunctionName"], {"Arn": configuration["FunctionArn"]})


def _configuration(properties: Properties) -> dict[str, Any]:
    return {
        _NAMES.get(name, name): value
        for name, value in properties.items()
        if name in _DEFAULTS and value is not None
    }


def _code(code: Mapping[str, Any]) -> dict[str, Any]:
    """Return the code as the API takes it; a template's ZipFile is the text of one module."""
    if "ZipFile" not in code:
        return dict(code)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_INLINE_FILE), code["ZipFile"])
    return {"ZipFile": packed.getvalue()}


def _reserve(client: Any, name: str, properties: Properties) -> None:
    executions = properties.get("ReservedConcurrentExecutions")
    if executions is None:
        client.delete_function_concurrency(FunctionName=name)
    else:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=executions)


def _retag(call: Call, arn: str, *, before: Properties, after: Properties) -> None:
    client = call.client("lambda")
    change = tagging.change(call, before, after)
    if change.put:
        client.tag_resource(Resource=arn, Tags=change.put)
    if change.removed:
        client.untag_resource(Resource=arn, TagKeys=change.removed)


HANDLERS = (Functions(),)
