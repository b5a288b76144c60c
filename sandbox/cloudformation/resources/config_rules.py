# SPDX-License-Identifier: Apache-2.0
"""AWS Config: the recorder, where it delivers to, and rules."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.api_shapes import to_api, to_template
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent, wait_until

NO_RECORDER = ("NoSuchConfigurationRecorderException",)
NO_CHANNEL = ("NoSuchDeliveryChannelException",)
NO_RULE = ("NoSuchConfigRuleException",)
# So many looks for a recorder; after them Config says itself what is missing.
_PATIENCE = 60
_RULE = ("ConfigRuleName", "Description", "EvaluationModes", "MaximumExecutionFrequency", "Scope", "Source")


class Recorders:
    """AWS::Config::ConfigurationRecorder. CloudFormation starts it as soon as it can deliver."""

    type_name = "AWS::Config::ConfigurationRecorder"
    properties = frozenset({"Name", "RecordingGroup", "RecordingMode", "RoleARN"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the recorder, and start it if there is a delivery channel."""
        given = {"Name": call.name, **properties}
        _put_recorder(call, given)
        if call.client("config").describe_delivery_channels()["DeliveryChannels"]:
            _start_recorders(call)
        return self._physical(call, given["Name"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return what it records."""
        client = call.client("config")
        answer = unless_absent(
            lambda: client.describe_configuration_recorders(ConfigurationRecorderNames=[physical_id]),
            *NO_RECORDER,
        )
        if answer is None:
            return None
        shape = client.meta.service_model.shape_for("ConfigurationRecorder")
        return dict(to_template(shape, answer["ConfigurationRecorders"][0]))

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change what it records."""
        del before
        _put_recorder(call, {**after, "Name": physical_id})
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the recorder."""
        del properties
        with absent_is_fine(*NO_RECORDER):
            call.client("config").delete_configuration_recorder(ConfigurationRecorderName=physical_id)

    def _physical(self, call: Call, name: str) -> Physical:
        arn = f"arn:aws:config:{call.region}:{call.account_id}:configuration-recorder/{name}"
        return Physical(name, {"ResourceARN": arn})


class Channels:
    """AWS::Config::DeliveryChannel."""

    type_name = "AWS::Config::DeliveryChannel"
    properties = frozenset(
        {
            "ConfigSnapshotDeliveryProperties",
            "Name",
            "S3BucketName",
            "S3KeyPrefix",
            "S3KmsKeyArn",
            "SnsTopicARN",
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Say where to deliver to, and start the recorder, which comes up beside it."""
        given = {"Name": call.name, **properties}
        _wait_for_recorder(call)
        _put_channel(call, given)
        _start_recorders(call)
        return Physical(given["Name"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return where it delivers to."""
        client = call.client("config")
        answer = unless_absent(
            lambda: client.describe_delivery_channels(DeliveryChannelNames=[physical_id]), *NO_CHANNEL
        )
        if answer is None:
            return None
        shape = client.meta.service_model.shape_for("DeliveryChannel")
        return dict(to_template(shape, answer["DeliveryChannels"][0]))

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Deliver elsewhere."""
        del before
        _put_channel(call, {**after, "Name": physical_id})
        return Physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Stop the recorder, then remove the channel: Config keeps the channel of one that runs."""
        del properties
        client = call.client("config")
        with absent_is_fine(*NO_CHANNEL):
            client.describe_delivery_channels(DeliveryChannelNames=[physical_id])
            for name in _recorders(call):
                # It may be removed at the same time.
                with absent_is_fine(*NO_RECORDER):
                    client.stop_configuration_recorder(ConfigurationRecorderName=name)
            client.delete_delivery_channel(DeliveryChannelName=physical_id)


class Rules:
    """AWS::Config::ConfigRule."""

    type_name = "AWS::Config::ConfigRule"
    properties = frozenset({*_RULE, "InputParameters"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the rule."""
        given = {"ConfigRuleName": call.name, **properties}
        self._put(call, given)
        return self._physical(call, given["ConfigRuleName"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return what it looks at."""
        rule = _rule(call, physical_id)
        if rule is None:
            return None
        shown = {name: rule[name] for name in _RULE if name in rule}
        if "InputParameters" in rule:
            shown["InputParameters"] = json.loads(rule["InputParameters"])
        return shown

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Replace the rule."""
        del before
        self._put(call, {**after, "ConfigRuleName": physical_id})
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the rule."""
        del properties
        with absent_is_fine(*NO_RULE):
            call.client("config").delete_config_rule(ConfigRuleName=physical_id)

    def _put(self, call: Call, properties: Mapping[str, Any]) -> None:
        rule = dict(properties)
        if isinstance(rule.get("InputParameters"), Mapping):
            rule["InputParameters"] = json.dumps(rule["InputParameters"])
        call.client("config").put_config_rule(ConfigRule=rule)

    def _physical(self, call: Call, name: str) -> Physical:
        rule = _rule(call, name) or {}
        answer = call.client("config").describe_compliance_by_config_rule(ConfigRuleNames=[name])
        compliance = answer["ComplianceByConfigRules"][0]["Compliance"]["ComplianceType"]
        attributes = {
            "Arn": rule["ConfigRuleArn"],
            "ConfigRuleId": rule["ConfigRuleId"],
            "Compliance.Type": compliance,
        }
        return Physical(name, attributes)


def _rule(call: Call, name: str) -> dict[str, Any] | None:
    client = call.client("config")
    answer = unless_absent(lambda: client.describe_config_rules(ConfigRuleNames=[name]), *NO_RULE)
    return answer and dict(answer["ConfigRules"][0])


def _put_recorder(call: Call, properties: Properties) -> None:
    client = call.client("config")
    shape = client.meta.service_model.shape_for("ConfigurationRecorder")
    client.put_configuration_recorder(ConfigurationRecorder=to_api(shape, properties))


def _put_channel(call: Call, properties: Properties) -> None:
    client = call.client("config")
    shape = client.meta.service_model.shape_for("DeliveryChannel")
    client.put_delivery_channel(DeliveryChannel=to_api(shape, properties))


def _wait_for_recorder(call: Call) -> None:
    """Give the recorder time: none of the two can name the other, and Config wants the recorder first."""
    began = itertools.count()
    wait_until(call, lambda: bool(_recorders(call)) or next(began) >= _PATIENCE)


def _recorders(call: Call) -> list[str]:
    answer = call.client("config").describe_configuration_recorders()
    return [recorder["name"] for recorder in answer["ConfigurationRecorders"]]


def _start_recorders(call: Call) -> None:
    for name in _recorders(call):
        call.client("config").start_configuration_recorder(ConfigurationRecorderName=name)


HANDLERS = (Recorders(), Channels(), Rules())
