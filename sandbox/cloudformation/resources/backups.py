# SPDX-License-Identifier: Apache-2.0
"""AWS Backup: vaults, plans, and what plans select."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.api_shapes import to_api, to_template
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

GONE = ("ResourceNotFoundException",)
_PLAN_NAMES = {"BackupPlanRule": "Rules", "TargetBackupVault": "TargetBackupVaultName"}
_LOCK = ("MinRetentionDays", "MaxRetentionDays")
_RULE = (
    "CompletionWindowMinutes CopyActions EnableContinuousBackup Lifecycle RecoveryPointTags RuleName "
    "ScheduleExpression ScheduleExpressionTimezone StartWindowMinutes TargetBackupVault"
)


class Vaults:
    """AWS::Backup::BackupVault."""

    type_name = "AWS::Backup::BackupVault"
    properties = frozenset(
        {
            "AccessPolicy",
            "BackupVaultName",
            "BackupVaultTags",
            "EncryptionKeyArn",
            "LockConfiguration",
            "Notifications",
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the vault with its policy, lock and notifications."""
        name = properties["BackupVaultName"]
        key = properties.get("EncryptionKeyArn")
        made = call.client("backup").create_backup_vault(
            BackupVaultName=name,
            BackupVaultTags=_tags(call, properties, "BackupVaultTags"),
            **({"EncryptionKeyArn": key} if key else {}),
        )
        with undone_by(lambda: self.delete(call, name, properties)):
            self._settle(call, name, before={}, after=properties)
        return Physical(name, {"BackupVaultArn": made["BackupVaultArn"]})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return everything that is on the vault."""
        client = call.client("backup")
        vault = unless_absent(lambda: client.describe_backup_vault(BackupVaultName=physical_id), *GONE)
        if vault is None:
            return None
        shown: dict[str, Any] = {
            name: vault[name] for name in ("BackupVaultName", "EncryptionKeyArn") if name in vault
        }
        if vault["Locked"]:
            shown["LockConfiguration"] = {name: vault[name] for name in _LOCK if name in vault}
        if policy := unless_absent(
            lambda: client.get_backup_vault_access_policy(BackupVaultName=physical_id), *GONE
        ):
            shown["AccessPolicy"] = json.loads(policy["Policy"])
        if told := unless_absent(
            lambda: client.get_backup_vault_notifications(BackupVaultName=physical_id), *GONE
        ):
            shown["Notifications"] = {name: told[name] for name in ("BackupVaultEvents", "SNSTopicArn")}
        return shown | _tags_shown(call, vault["BackupVaultArn"], "BackupVaultTags")

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change policy, lock, notifications and tags."""
        vault = call.client("backup").describe_backup_vault(BackupVaultName=physical_id)
        self._settle(call, physical_id, before=before, after=after)
        _retag(call, vault["BackupVaultArn"], "BackupVaultTags", before=before, after=after)
        return Physical(physical_id, {"BackupVaultArn": vault["BackupVaultArn"]})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the vault."""
        del properties
        with absent_is_fine(*GONE):
            call.client("backup").delete_backup_vault(BackupVaultName=physical_id)

    def _settle(self, call: Call, name: str, *, before: Properties, after: Properties) -> None:
        client = call.client("backup")
        if "AccessPolicy" in after:
            policy = json.dumps(after["AccessPolicy"])
            client.put_backup_vault_access_policy(BackupVaultName=name, Policy=policy)
        elif "AccessPolicy" in before:
            client.delete_backup_vault_access_policy(BackupVaultName=name)
        if "LockConfiguration" in after:
            client.put_backup_vault_lock_configuration(BackupVaultName=name, **after["LockConfiguration"])
        elif "LockConfiguration" in before:
            client.delete_backup_vault_lock_configuration(BackupVaultName=name)
        if "Notifications" in after:
            client.put_backup_vault_notifications(BackupVaultName=name, **after["Notifications"])
        elif "Notifications" in before:
            client.delete_backup_vault_notifications(BackupVaultName=name)


class Plans:
    """AWS::Backup::BackupPlan."""

    type_name = "AWS::Backup::BackupPlan"
    properties = frozenset(
        {
            "BackupPlan.BackupPlanName",
            "BackupPlanTags",
            *(f"BackupPlan.BackupPlanRule.{name}" for name in _RULE.split()),
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the plan."""
        made = call.client("backup").create_backup_plan(
            BackupPlan=_plan(call, properties), BackupPlanTags=_tags(call, properties, "BackupPlanTags")
        )
        return _plan_physical(made)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the plan."""
        client = call.client("backup")
        answer = unless_absent(lambda: client.get_backup_plan(BackupPlanId=physical_id), *GONE)
        if answer is None:
            return None
        shape = client.meta.service_model.shape_for("BackupPlan")
        plan = to_template(shape, answer["BackupPlan"], _PLAN_NAMES)
        for rule in plan["BackupPlanRule"]:
            del rule["RuleId"]
        return {"BackupPlan": plan, **_tags_shown(call, answer["BackupPlanArn"], "BackupPlanTags")}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Replace the plan by a new version."""
        changed = call.client("backup").update_backup_plan(
            BackupPlanId=physical_id, BackupPlan=_plan(call, after)
        )
        _retag(call, changed["BackupPlanArn"], "BackupPlanTags", before=before, after=after)
        return _plan_physical(changed)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the plan."""
        del properties
        with absent_is_fine(*GONE):
            call.client("backup").delete_backup_plan(BackupPlanId=physical_id)


class Selections:
    """AWS::Backup::BackupSelection. Its physical id is `<selection>_<plan>`, as AWS makes it."""

    type_name = "AWS::Backup::BackupSelection"
    properties = frozenset(
        {
            "BackupPlanId",
            *(
                f"BackupSelection.{name}"
                for name in ("IamRoleArn", "ListOfTags", "NotResources", "Resources", "SelectionName")
            ),
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Add the selection to its plan."""
        made = call.client("backup").create_backup_selection(**properties)
        return _selection_physical(f"{made['SelectionId']}_{made['BackupPlanId']}")

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return what is selected."""
        selection, _, plan = physical_id.partition("_")
        answer = unless_absent(
            lambda: call.client("backup").get_backup_selection(BackupPlanId=plan, SelectionId=selection),
            *GONE,
        )
        return answer and {"BackupPlanId": plan, "BackupSelection": answer["BackupSelection"]}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """There is nothing that can be changed."""
        del call, before, after
        return _selection_physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Take the selection out of its plan."""
        del properties
        selection, _, plan = physical_id.partition("_")
        with absent_is_fine(*GONE):
            call.client("backup").delete_backup_selection(BackupPlanId=plan, SelectionId=selection)


def _selection_physical(physical_id: str) -> Physical:
    selection, _, plan = physical_id.partition("_")
    return Physical(physical_id, {"Id": physical_id, "SelectionId": selection, "BackupPlanId": plan})


def _plan(call: Call, properties: Properties) -> Any:
    shape = call.client("backup").meta.service_model.shape_for("BackupPlanInput")
    return to_api(shape, properties["BackupPlan"], _PLAN_NAMES)


def _plan_physical(plan: Mapping[str, Any]) -> Physical:
    names = ("BackupPlanId", "BackupPlanArn", "VersionId")
    return Physical(plan["BackupPlanId"], {name: plan[name] for name in names})


def _as_list(properties: Properties, name: str) -> dict[str, Any]:
    """Backup's tags are a map in templates too."""
    return {"Tags": tagging.as_list(properties.get(name, {}))}


def _tags(call: Call, properties: Properties, name: str) -> dict[str, str]:
    return tagging.wanted(call, _as_list(properties, name))


def _tags_shown(call: Call, arn: str, name: str) -> dict[str, Any]:
    tags = call.client("backup").list_tags(ResourceArn=arn)["Tags"]
    shown = tagging.shown(tagging.as_list(tags)).get("Tags", [])
    return {name: {tag["Key"]: tag["Value"] for tag in shown}} if shown else {}


def _retag(call: Call, arn: str, name: str, *, before: Properties, after: Properties) -> None:
    client = call.client("backup")
    change = tagging.change(call, _as_list(before, name), _as_list(after, name))
    if change.put:
        client.tag_resource(ResourceArn=arn, Tags=change.put)
    if change.removed:
        client.untag_resource(ResourceArn=arn, TagKeyList=change.removed)


HANDLERS = (Vaults(), Plans(), Selections())
