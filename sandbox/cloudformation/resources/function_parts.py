# SPDX-License-Identifier: Apache-2.0
"""What belongs to a Lambda function: permissions, how it is retried, versions and aliases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent
from sandbox.cloudformation.resources.functions import GONE

LATEST = "$LATEST"


class Permissions:
    """AWS::Lambda::Permission. Its physical id is `<function>|<statement id>`, as its identifier is."""

    type_name = "AWS::Lambda::Permission"
    properties = frozenset({"Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Add a statement to the function's policy."""
        call.client("lambda").add_permission(StatementId=call.name, **properties)
        return Physical(f"{properties['FunctionName']}|{call.name}", {"Id": call.name})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the statement."""
        function, _, statement_id = physical_id.rpartition("|")
        answer = unless_absent(lambda: call.client("lambda").get_policy(FunctionName=function), *GONE)
        statements = json.loads(answer["Policy"])["Statement"] if answer else []
        found = next((each for each in statements if each["Sid"] == statement_id), None)
        return None if found is None else _permission(function, found)

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """There is nothing that can be changed."""
        del call, before, after
        return Physical(physical_id, {"Id": physical_id.rpartition("|")[2]})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Take the statement away."""
        del properties
        function, _, statement_id = physical_id.rpartition("|")
        with absent_is_fine(*GONE):
            call.client("lambda").remove_permission(FunctionName=function, StatementId=statement_id)


class EventInvokeConfigs:
    """AWS::Lambda::EventInvokeConfig. Its physical id is `<function>|<qualifier>`, as its identifier is."""

    type_name = "AWS::Lambda::EventInvokeConfig"
    properties = frozenset(
        {
            "DestinationConfig.OnFailure",
            "DestinationConfig.OnSuccess",
            "FunctionName",
            "MaximumEventAgeInSeconds",
            "MaximumRetryAttempts",
            "Qualifier",
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Say how asynchronous events are retried, and where those go that failed."""
        if properties["Qualifier"] != LATEST:
            raise HandlerError(f"Qualifier {properties['Qualifier']} is not supported: only {LATEST} is")
        call.client("lambda").put_function_event_invoke_config(**properties)
        return Physical(f"{properties['FunctionName']}|{LATEST}")

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return what is set."""
        function, _, qualifier = physical_id.rpartition("|")
        answer = unless_absent(
            lambda: call.client("lambda").get_function_event_invoke_config(
                FunctionName=function, Qualifier=qualifier
            ),
            *GONE,
        )
        if answer is None:
            return None
        shown: dict[str, Any] = {"FunctionName": function, "Qualifier": qualifier}
        for name in ("MaximumEventAgeInSeconds", "MaximumRetryAttempts"):
            if name in answer:
                shown[name] = answer[name]
        if destinations := {key: each for key, each in answer.get("DestinationConfig", {}).items() if each}:
            shown["DestinationConfig"] = destinations
        return shown

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Replace everything."""
        del physical_id, before
        return self.create(call, after)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Go back to what AWS does by itself."""
        del properties
        function, _, qualifier = physical_id.rpartition("|")
        with absent_is_fine(*GONE):
            call.client("lambda").delete_function_event_invoke_config(
                FunctionName=function, Qualifier=qualifier
            )


class Versions:
    """AWS::Lambda::Version."""

    type_name = "AWS::Lambda::Version"
    properties = frozenset({"CodeSha256", "Description", "FunctionName"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Publish the function as it stands."""
        client = call.client("lambda")
        present = client.get_function_configuration(FunctionName=properties["FunctionName"])["CodeSha256"]
        if properties.get("CodeSha256", present) != present:
            raise HandlerError(
                f"CodeSHA256 ({properties['CodeSha256']}) is different from current ({present})"
            )
        given = {name: value for name, value in properties.items() if name != "CodeSha256"}
        made = client.publish_version(**given)
        arn = made["FunctionArn"]
        return Physical(arn, {"FunctionArn": arn, "Version": made["Version"]})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return what was published."""
        client = call.client("lambda")
        answer = unless_absent(lambda: client.get_function_configuration(FunctionName=physical_id), *GONE)
        if answer is None:
            return None
        shown = {"FunctionName": answer["FunctionName"], "CodeSha256": answer["CodeSha256"]}
        return shown | ({"Description": answer["Description"]} if answer.get("Description") else {})

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """There is nothing that can be changed."""
        del call, before, after
        version = physical_id.rpartition(":")[2]
        return Physical(physical_id, {"FunctionArn": physical_id, "Version": version})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the version."""
        del properties
        function, _, version = physical_id.rpartition(":")
        with absent_is_fine(*GONE):
            call.client("lambda").delete_function(FunctionName=function, Qualifier=version)


class Aliases:
    """AWS::Lambda::Alias."""

    type_name = "AWS::Lambda::Alias"
    properties = frozenset({"Description", "FunctionName", "FunctionVersion", "Name"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the alias."""
        made = call.client("lambda").create_alias(**properties)
        return Physical(made["AliasArn"], {"AliasArn": made["AliasArn"]})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return what it points to."""
        function, name = _alias(physical_id)
        answer = unless_absent(
            lambda: call.client("lambda").get_alias(FunctionName=function, Name=name), *GONE
        )
        if answer is None:
            return None
        shown = {"FunctionName": function, "FunctionVersion": answer["FunctionVersion"], "Name": name}
        return shown | ({"Description": answer["Description"]} if answer.get("Description") else {})

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Point it elsewhere."""
        del before
        function, name = _alias(physical_id)
        call.client("lambda").update_alias(
            FunctionName=function,
            Name=name,
            FunctionVersion=after["FunctionVersion"],
            Description=after.get("Description", ""),
        )
        return Physical(physical_id, {"AliasArn": physical_id})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove it."""
        del properties
        function, name = _alias(physical_id)
        with absent_is_fine(*GONE):
            call.client("lambda").delete_alias(FunctionName=function, Name=name)


def _alias(arn: str) -> tuple[str, str]:
    function, name = arn.split(":")[-2:]
    return function, name


def _permission(function: str, statement: Mapping[str, Any]) -> dict[str, Any]:
    principal = statement["Principal"]
    shown = {
        "FunctionName": function,
        "Action": statement["Action"],
        "Principal": next(iter(principal.values())) if isinstance(principal, Mapping) else principal,
    }
    conditions = statement.get("Condition", {})
    if arn := conditions.get("ArnLike", {}).get("AWS:SourceArn"):
        shown["SourceArn"] = arn
    if account := conditions.get("StringEquals", {}).get("AWS:SourceAccount"):
        shown["SourceAccount"] = account
    return shown


HANDLERS = (Permissions(), EventInvokeConfigs(), Versions(), Aliases())
