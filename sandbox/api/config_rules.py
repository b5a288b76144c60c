# SPDX-License-Identifier: Apache-2.0
"""AWS Config as state: recorder, delivery channel and rules are kept and read back; nothing is recorded.

https://docs.aws.amazon.com/config/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.config.models import config_backends
from moto.config.responses import ConfigResponse
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from sandbox.api import own_operations
from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records
from sandbox.api.patches import Patches

_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 6


def install(patches: Patches) -> None:
    """Answer Config's operations here."""
    own_operations.install(
        patches,
        ConfigResponse,
        backend=lambda response: config_backends[response.current_account][response.region],
        operations=OPERATIONS,
    )


# -- the recorder


def _put_recorder(records: Records, parameters: Parameters) -> None:
    given = {"name": "default", **parameters["ConfigurationRecorder"]}
    kept = _kept(records, "recorders")
    if kept and given["name"] not in kept:
        message = (
            f"Failed to put configuration recorder '{given['name']}' because the maximum number of "
            "configuration recorders: 1 is reached."
        )
        raise AwsError("MaxNumberOfConfigurationRecordersExceededException", message)
    before = kept.get(given["name"], {"recording": False})
    group = {"allSupported": True, "includeGlobalResourceTypes": False, **(given.get("recordingGroup") or {})}
    kept[given["name"]] = {**before, "given": given | {"recordingGroup": group}}


def _describe_recorders(records: Records, parameters: Parameters) -> dict[str, Any]:
    wanted = parameters.get("ConfigurationRecorderNames")
    found = _chosen(records, "recorders", wanted, error="NoSuchConfigurationRecorderException")
    return {"ConfigurationRecorders": [each["given"] for each in found.values()]}


def _recorder_status(records: Records, parameters: Parameters) -> dict[str, Any]:
    wanted = parameters.get("ConfigurationRecorderNames")
    found = _chosen(records, "recorders", wanted, error="NoSuchConfigurationRecorderException")
    statuses = [
        {"name": name, "recording": each["recording"]}
        | ({"lastStartTime": each["started"]} if "started" in each else {})
        for name, each in found.items()
    ]
    return {"ConfigurationRecordersStatus": statuses}


def _start(records: Records, parameters: Parameters) -> None:
    recorder = _recorder(records, parameters)
    if not _kept(records, "channels"):
        message = "Delivery channel is not available to start configuration recorder."
        raise AwsError("NoAvailableDeliveryChannelException", message)
    recorder.update(recording=True, started=datetime.now(UTC))


def _stop(records: Records, parameters: Parameters) -> None:
    _recorder(records, parameters)["recording"] = False


def _delete_recorder(records: Records, parameters: Parameters) -> None:
    _recorder(records, parameters)
    del _kept(records, "recorders")[parameters["ConfigurationRecorderName"]]


def _recorder(records: Records, parameters: Parameters) -> dict[str, Any]:
    name = parameters["ConfigurationRecorderName"]
    found = _chosen(records, "recorders", [name], error="NoSuchConfigurationRecorderException")
    recorder: dict[str, Any] = found[name]
    return recorder


# -- the delivery channel


def _put_channel(records: Records, parameters: Parameters) -> None:
    given = {"name": "default", **parameters["DeliveryChannel"]}
    kept = _kept(records, "channels")
    _need_recorder(records)
    if kept and given["name"] not in kept:
        message = (
            f"Failed to put delivery channel '{given['name']}' because the maximum number of delivery "
            "channels: 1 is reached."
        )
        raise AwsError("MaxNumberOfDeliveryChannelsExceededException", message)
    if given["s3BucketName"] not in s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets:
        message = f"Cannot find a S3 bucket with an empty bucket name: {given['s3BucketName']}."
        raise AwsError("NoSuchBucketException", message)
    kept[given["name"]] = given


def _describe_channels(records: Records, parameters: Parameters) -> dict[str, Any]:
    wanted = parameters.get("DeliveryChannelNames")
    found = _chosen(records, "channels", wanted, error="NoSuchDeliveryChannelException")
    return {"DeliveryChannels": list(found.values())}


def _delete_channel(records: Records, parameters: Parameters) -> None:
    name = parameters["DeliveryChannelName"]
    _chosen(records, "channels", [name], error="NoSuchDeliveryChannelException")
    if any(each["recording"] for each in _kept(records, "recorders").values()):
        message = (
            f"Failed to delete last specified delivery channel with name '{name}', because there, because "
            "there is a running configuration recorder."
        )
        raise AwsError("LastDeliveryChannelDeleteFailedException", message)
    del _kept(records, "channels")[name]


# -- rules


def _put_rule(records: Records, parameters: Parameters) -> None:
    given = parameters["ConfigRule"]
    _need_recorder(records)
    kept = _kept(records, "rules")
    identifier = "config-rule-" + "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
    region = records["region"]["name"]
    fixed = {
        "ConfigRuleId": identifier,
        "ConfigRuleArn": f"arn:aws:config:{region}:{DEFAULT_ACCOUNT_ID}:config-rule/{identifier}",
        "ConfigRuleState": "ACTIVE",
    }
    before = kept.get(given["ConfigRuleName"], fixed)
    kept[given["ConfigRuleName"]] = {**given, **{name: before[name] for name in fixed}}


def _describe_rules(records: Records, parameters: Parameters) -> dict[str, Any]:
    wanted = parameters.get("ConfigRuleNames")
    found = _chosen(records, "rules", wanted, error="NoSuchConfigRuleException")
    return {"ConfigRules": list(found.values())}


def _compliance(records: Records, parameters: Parameters) -> dict[str, Any]:
    wanted = parameters.get("ConfigRuleNames")
    found = _chosen(records, "rules", wanted, error="NoSuchConfigRuleException")
    # No rule is ever evaluated here.
    unknown = {"ComplianceType": "INSUFFICIENT_DATA"}
    return {"ComplianceByConfigRules": [{"ConfigRuleName": name, "Compliance": unknown} for name in found]}


def _delete_rule(records: Records, parameters: Parameters) -> None:
    name = parameters["ConfigRuleName"]
    _chosen(records, "rules", [name], error="NoSuchConfigRuleException")
    del _kept(records, "rules")[name]


def _need_recorder(records: Records) -> None:
    if not _kept(records, "recorders"):
        message = "Configuration recorder is not available to put delivery channel or rule."
        raise AwsError("NoAvailableConfigurationRecorderException", message)


def _kept(records: Records, kind: str) -> dict[str, Any]:
    return records.setdefault(kind, {})


def _chosen(records: Records, kind: str, names: list[str] | None, *, error: str) -> Mapping[str, Any]:
    kept = _kept(records, kind)
    for name in names or []:
        if name not in kept:
            raise AwsError(error, f"Cannot find {kind[:-1]} with the specified name '{name}'.")
    return {name: each for name, each in kept.items() if not names or name in names}


OPERATIONS: dict[str, Operation] = {
    "DeleteConfigRule": _delete_rule,
    "DeleteConfigurationRecorder": _delete_recorder,
    "DeleteDeliveryChannel": _delete_channel,
    "DescribeComplianceByConfigRule": _compliance,
    "DescribeConfigRules": _describe_rules,
    "DescribeConfigurationRecorderStatus": _recorder_status,
    "DescribeConfigurationRecorders": _describe_recorders,
    "DescribeDeliveryChannels": _describe_channels,
    "PutConfigRule": _put_rule,
    "PutConfigurationRecorder": _put_recorder,
    "PutDeliveryChannel": _put_channel,
    "StartConfigurationRecorder": _start,
    "StopConfigurationRecorder": _stop,
}
