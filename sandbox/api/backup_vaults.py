# SPDX-License-Identifier: Apache-2.0
"""Vaults of AWS Backup as state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID

from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records

_LOCK = ("MinRetentionDays", "MaxRetentionDays")


def arn_of(records: Records, kind: str, name: str) -> str:
    """Return the ARN of something of Backup's."""
    return f"arn:aws:backup:{records['region']['name']}:{DEFAULT_ACCOUNT_ID}:{kind}:{name}"


def _create_vault(records: Records, parameters: Parameters) -> dict[str, Any]:
    name = parameters["BackupVaultName"]
    arn = arn_of(records, "backup-vault", name)
    if name in records.get("vaults", {}):
        raise AwsError("AlreadyExistsException", f"Backup vault with the same name already exists: {arn}")
    vault = {"arn": arn, "created": datetime.now(UTC), "key": parameters.get("EncryptionKeyArn")}
    records.setdefault("vaults", {})[name] = vault
    records.setdefault("tags", {})[arn] = dict(parameters.get("BackupVaultTags") or {})
    return {"BackupVaultName": name, "BackupVaultArn": arn, "CreationDate": vault["created"]}


def _describe_vault(records: Records, parameters: Parameters) -> dict[str, Any]:
    name, vault = _vault(records, parameters)
    return _shown_vault(name, vault)


def _shown_vault(name: str, vault: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        "BackupVaultName": name,
        "BackupVaultArn": vault["arn"],
        "VaultType": "BACKUP_VAULT",
        "VaultState": "AVAILABLE",
        "CreationDate": vault["created"],
        "NumberOfRecoveryPoints": 0,
        "Locked": "lock" in vault,
    }
    if vault["key"]:
        shown["EncryptionKeyArn"] = vault["key"]
    lock: dict[str, Any] = vault.get("lock", {})
    return shown | lock


def _list_vaults(records: Records, _: Parameters) -> dict[str, Any]:
    vaults = records.get("vaults", {})
    return {"BackupVaultList": [_shown_vault(name, vault) for name, vault in vaults.items()]}


def _delete_vault(records: Records, parameters: Parameters) -> None:
    name, vault = _vault(records, parameters)
    del records["vaults"][name]
    records["tags"].pop(vault["arn"], None)


def _lock_vault(records: Records, parameters: Parameters) -> None:
    _, vault = _vault(records, parameters)
    vault["lock"] = {name: parameters[name] for name in _LOCK if parameters.get(name) is not None}


def _unlock_vault(records: Records, parameters: Parameters) -> None:
    _, vault = _vault(records, parameters)
    vault.pop("lock", None)


def _put_policy(records: Records, parameters: Parameters) -> None:
    _, vault = _vault(records, parameters)
    vault["policy"] = parameters["Policy"]


def _get_policy(records: Records, parameters: Parameters) -> dict[str, Any]:
    name, vault = _vault(records, parameters)
    if "policy" not in vault:
        raise AwsError("ResourceNotFoundException", f"Backup vault {name} has no access policy.")
    return {"BackupVaultName": name, "BackupVaultArn": vault["arn"], "Policy": vault["policy"]}


def _delete_policy(records: Records, parameters: Parameters) -> None:
    _, vault = _vault(records, parameters)
    vault.pop("policy", None)


def _put_notifications(records: Records, parameters: Parameters) -> None:
    _, vault = _vault(records, parameters)
    vault["notifications"] = {name: parameters[name] for name in ("SNSTopicArn", "BackupVaultEvents")}


def _get_notifications(records: Records, parameters: Parameters) -> dict[str, Any]:
    name, vault = _vault(records, parameters)
    if "notifications" not in vault:
        raise AwsError("ResourceNotFoundException", f"Backup vault {name} has no notifications.")
    return {"BackupVaultName": name, "BackupVaultArn": vault["arn"], **vault["notifications"]}


def _delete_notifications(records: Records, parameters: Parameters) -> None:
    _, vault = _vault(records, parameters)
    vault.pop("notifications", None)


def _vault(records: Records, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    name = str(parameters["BackupVaultName"])
    if name not in records.get("vaults", {}):
        raise AwsError("ResourceNotFoundException", f"Backup vault {name} does not exist.")
    vault: dict[str, Any] = records["vaults"][name]
    return name, vault


OPERATIONS: dict[str, Operation] = {
    "CreateBackupVault": _create_vault,
    "DeleteBackupVault": _delete_vault,
    "DeleteBackupVaultAccessPolicy": _delete_policy,
    "DeleteBackupVaultLockConfiguration": _unlock_vault,
    "DeleteBackupVaultNotifications": _delete_notifications,
    "DescribeBackupVault": _describe_vault,
    "GetBackupVaultAccessPolicy": _get_policy,
    "GetBackupVaultNotifications": _get_notifications,
    "ListBackupVaults": _list_vaults,
    "PutBackupVaultAccessPolicy": _put_policy,
    "PutBackupVaultLockConfiguration": _lock_vault,
    "PutBackupVaultNotifications": _put_notifications,
}
