# SPDX-License-Identifier: Apache-2.0
"""AWS Backup as state: vaults, plans and what they select are kept and read back; nothing is backed up.

moto has no selections, no update of plans, and neither policies nor notifications of vaults.

https://docs.aws.amazon.com/aws-backup/latest/devguide/API_Operations.html
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.backup import urls
from moto.backup.models import backup_backends
from moto.backup.responses import BackupResponse

from sandbox.api import backup_vaults, own_operations
from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records
from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Answer Backup's operations here."""
    own_operations.open_paths(patches, urls, BackupResponse.dispatch)
    own_operations.install(
        patches,
        BackupResponse,
        backend=lambda response: backup_backends[response.current_account][response.region],
        operations=OPERATIONS,
    )


def _create_plan(records: Records, parameters: Parameters) -> dict[str, Any]:
    given = parameters["BackupPlan"]
    if any(plan["plan"]["BackupPlanName"] == given["BackupPlanName"] for plan in _plans(records).values()):
        message = f"Backup plan with the same name already exists: {given['BackupPlanName']}"
        raise AwsError("AlreadyExistsException", message)
    identifier = str(uuid.uuid4())
    arn = backup_vaults.arn_of(records, "backup-plan", identifier)
    plan = {"arn": arn, "selections": {}}
    _put_plan(records, plan, given)
    _plans(records)[identifier] = plan
    records.setdefault("tags", {})[arn] = dict(parameters.get("BackupPlanTags") or {})
    return _plan_shown(identifier, plan)


def _update_plan(records: Records, parameters: Parameters) -> dict[str, Any]:
    identifier, plan = _plan(records, parameters)
    _put_plan(records, plan, parameters["BackupPlan"])
    return _plan_shown(identifier, plan)


def _put_plan(records: Records, plan: dict[str, Any], given: Mapping[str, Any]) -> None:
    for rule in given["Rules"]:
        if rule["TargetBackupVaultName"] not in records.get("vaults", {}):
            message = f"Backup vault {rule['TargetBackupVaultName']} does not exist."
            raise AwsError("InvalidParameterValueException", message)
    rules = [{"RuleId": str(uuid.uuid4()), **rule} for rule in given["Rules"]]
    plan |= {"plan": {**given, "Rules": rules}, "version": uuid.uuid4().hex, "created": datetime.now(UTC)}


def _get_plan(records: Records, parameters: Parameters) -> dict[str, Any]:
    identifier, plan = _plan(records, parameters)
    return _plan_shown(identifier, plan) | {"BackupPlan": plan["plan"]}


def _list_plans(records: Records, _: Parameters) -> dict[str, Any]:
    listed = [
        _plan_shown(identifier, plan) | {"BackupPlanName": plan["plan"]["BackupPlanName"]}
        for identifier, plan in _plans(records).items()
    ]
    return {"BackupPlansList": listed}


def _delete_plan(records: Records, parameters: Parameters) -> dict[str, Any]:
    identifier, plan = _plan(records, parameters)
    if plan["selections"]:
        message = "Related backup plan selections must be deleted prior to backup plan deletion."
        raise AwsError("InvalidRequestException", message)
    del _plans(records)[identifier]
    records["tags"].pop(plan["arn"], None)
    shown = _plan_shown(identifier, plan)
    del shown["CreationDate"]
    return shown | {"DeletionDate": datetime.now(UTC)}


def _plan_shown(identifier: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "BackupPlanId": identifier,
        "BackupPlanArn": plan["arn"],
        "CreationDate": plan["created"],
        "VersionId": plan["version"],
    }


def _plans(records: Records) -> dict[str, Any]:
    return records.setdefault("plans", {})


def _plan(records: Records, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    identifier = str(parameters["BackupPlanId"])
    if identifier not in _plans(records):
        raise AwsError("ResourceNotFoundException", f"Cannot find Backup plan with ID {identifier}")
    return identifier, _plans(records)[identifier]


# -- selections


def _create_selection(records: Records, parameters: Parameters) -> dict[str, Any]:
    plan_id, plan = _plan(records, parameters)
    identifier = str(uuid.uuid4())
    plan["selections"][identifier] = {
        "BackupSelection": parameters["BackupSelection"],
        "CreationDate": datetime.now(UTC),
    }
    created = plan["selections"][identifier]["CreationDate"]
    return {"SelectionId": identifier, "BackupPlanId": plan_id, "CreationDate": created}


def _get_selection(records: Records, parameters: Parameters) -> dict[str, Any]:
    plan_id, identifier, selection = _selection(records, parameters)
    return {"SelectionId": identifier, "BackupPlanId": plan_id, **selection}


def _list_selections(records: Records, parameters: Parameters) -> dict[str, Any]:
    plan_id, plan = _plan(records, parameters)
    listed = [
        {
            "SelectionId": identifier,
            "BackupPlanId": plan_id,
            "SelectionName": selection["BackupSelection"]["SelectionName"],
            "IamRoleArn": selection["BackupSelection"]["IamRoleArn"],
            "CreationDate": selection["CreationDate"],
        }
        for identifier, selection in plan["selections"].items()
    ]
    return {"BackupSelectionsList": listed}


def _delete_selection(records: Records, parameters: Parameters) -> None:
    _, identifier, _ = _selection(records, parameters)
    del _plan(records, parameters)[1]["selections"][identifier]


def _selection(records: Records, parameters: Parameters) -> tuple[str, str, dict[str, Any]]:
    plan_id, plan = _plan(records, parameters)
    identifier = str(parameters["SelectionId"])
    if identifier not in plan["selections"]:
        raise AwsError("ResourceNotFoundException", f"Cannot find Backup selection with ID {identifier}")
    return plan_id, identifier, plan["selections"][identifier]


# -- tags


def _list_tags(records: Records, parameters: Parameters) -> dict[str, Any]:
    return {"Tags": _tags(records, parameters)}


def _tag(records: Records, parameters: Parameters) -> None:
    _tags(records, parameters).update(parameters["Tags"])


def _untag(records: Records, parameters: Parameters) -> None:
    for key in parameters["TagKeyList"]:
        _tags(records, parameters).pop(key, None)


def _tags(records: Records, parameters: Parameters) -> dict[str, str]:
    arn = parameters["ResourceArn"]
    if arn not in records.get("tags", {}):
        raise AwsError("ResourceNotFoundException", f"{arn} does not exist.")
    tags: dict[str, str] = records["tags"][arn]
    return tags


OPERATIONS: dict[str, Operation] = {
    **backup_vaults.OPERATIONS,
    "CreateBackupPlan": _create_plan,
    "CreateBackupSelection": _create_selection,
    "DeleteBackupPlan": _delete_plan,
    "DeleteBackupSelection": _delete_selection,
    "GetBackupPlan": _get_plan,
    "GetBackupSelection": _get_selection,
    "ListBackupPlans": _list_plans,
    "ListBackupSelections": _list_selections,
    "ListTags": _list_tags,
    "TagResource": _tag,
    "UntagResource": _untag,
    "UpdateBackupPlan": _update_plan,
}
