# SPDX-License-Identifier: Apache-2.0
"""Backups of the database in a vault of their own: who may delete the cluster may not delete these as well.

RDS's own backups end with the cluster; these stay.
"""

from __future__ import annotations

from troposphere import GetAtt, Ref, Template
from troposphere.backup import (
    BackupPlan,
    BackupPlanResourceType,
    BackupRuleResourceType,
    BackupSelection,
    BackupSelectionResourceType,
    BackupVault,
    LifecycleResourceType,
)
from troposphere.iam import Role

from stacks.database import cluster_identifier
from stacks.inputs import NetworkInputs
from stacks.policy import of_account, service, trust
from stacks.stack import NetworkStack, output

DAILY = "cron(0 5 * * ? *)"
KEPT_DAYS = 35
BACKUP_POLICY = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup"


def add(template: Template, inputs: NetworkInputs) -> None:
    """Add the vault and a daily plan for the network's cluster."""
    template.add_resource(
        BackupVault(
            "BackupVault",
            BackupVaultName=f"slipway-{inputs.name}",
            EncryptionKeyArn=output(inputs.name, NetworkStack.SECURITY, "DataKeyArn"),
        )
    )
    daily = BackupRuleResourceType(
        RuleName="daily",
        TargetBackupVault=Ref("BackupVault"),
        ScheduleExpression=DAILY,
        Lifecycle=LifecycleResourceType(DeleteAfterDays=KEPT_DAYS),
    )
    template.add_resource(
        BackupPlan(
            "BackupPlan",
            BackupPlan=BackupPlanResourceType(
                BackupPlanName=f"slipway-{inputs.name}", BackupPlanRule=[daily]
            ),
        )
    )
    template.add_resource(
        Role(
            "BackupRole",
            AssumeRolePolicyDocument=trust(service("backup"), of_account(inputs.account_id)),
            ManagedPolicyArns=[BACKUP_POLICY],
        )
    )
    cluster = f"arn:aws:rds:{inputs.region}:{inputs.account_id}:cluster:{cluster_identifier(inputs.name)}"
    template.add_resource(
        BackupSelection(
            "BackupSelection",
            BackupPlanId=Ref("BackupPlan"),
            BackupSelection=BackupSelectionResourceType(
                SelectionName="database",
                IamRoleArn=GetAtt("BackupRole", "Arn"),
                Resources=[cluster],
            ),
        )
    )
