# SPDX-License-Identifier: Apache-2.0
"""The database: an Aurora MySQL cluster in the data subnets, shared by the environments of a network.

Members are a list of equals. Which of them writes is the cluster's affair and changes with every failover,
so nothing here says it. The master user's password is made, kept and rotated by RDS in Secrets Manager.
"""

from __future__ import annotations

from typing import Any

from troposphere import GetAtt, Ref, Template
from troposphere.iam import Role
from troposphere.rds import (
    DBCluster,
    DBClusterParameterGroup,
    DBInstance,
    DBSubnetGroup,
    MasterUserSecret,
    ServerlessV2ScalingConfiguration,
)

from orchestrator.config.network import Database, DatabaseMember
from stacks.inputs import NetworkInputs
from stacks.parts import add_log_group, add_outputs
from stacks.policy import of_account, service, trust
from stacks.security_groups import DATABASE
from stacks.stack import NetworkStack, Stack, list_output, logical, output, stack_name

PORT = 3306
ENGINE, FAMILY = "aurora-mysql", "aurora-mysql8.0"
MASTER = "slipway"
LOGS = ("audit", "error", "slowquery")
MONITORING_INTERVAL_S = 60
MONITORING_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
# In UTC: when a backup is taken, and when RDS may restart members for updates.
BACKUP_WINDOW, MAINTENANCE_WINDOW = "02:00-03:00", "sun:04:00-sun:05:00"
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Auditing.html
PARAMETERS = {
    "require_secure_transport": "ON",
    "tls_version": "TLSv1.2,TLSv1.3",
    "server_audit_logging": "1",
    "server_audit_events": "CONNECT,QUERY_DCL,QUERY_DDL",
    "server_audit_logs_upload": "1",
    "slow_query_log": "1",
    "long_query_time": "1",
}


def synthesise(inputs: NetworkInputs) -> Stack:
    """Return the network's database stack.

    Raises:
        ValueError: The network has no database.
    """
    database = inputs.network.database
    if database is None:
        raise ValueError(f"{inputs.name} has no database")
    template = Template(f"The Aurora MySQL cluster of the network {inputs.name}.")
    groups = _add_log_groups(template, inputs)
    _add_parameters(template, inputs)
    template.add_resource(_cluster(inputs, database, depends_on=groups))
    template.add_resource(_monitoring_role(inputs))
    for member in database.members:
        template.add_resource(_member(inputs, member))
    _add_outputs(template)
    owner = inputs.name
    needed = (NetworkStack.NETWORK, NetworkStack.SECURITY)
    return Stack(NetworkStack.DATABASE, owner, template, tuple(stack_name(owner, kind) for kind in needed))


def cluster_identifier(network: str) -> str:
    """Return the cluster's name; its members' begin with it."""
    return f"slipway-{network}"


def _security(inputs: NetworkInputs, name: str) -> Any:
    return output(inputs.name, NetworkStack.SECURITY, name)


def _add_log_groups(template: Template, inputs: NetworkInputs) -> list[str]:
    """Make the groups that RDS would make itself, without encryption and for ever."""
    cluster = cluster_identifier(inputs.name)
    groups = [
        add_log_group(
            template,
            f"{logical(log)}LogGroup",
            name=f"/aws/rds/cluster/{cluster}/{log}",
            days=inputs.network.log_days,
            key_arn=_security(inputs, "LogsKeyArn"),
        )
        for log in LOGS
    ]
    return [group.title for group in groups]


def _add_parameters(template: Template, inputs: NetworkInputs) -> None:
    template.add_resource(
        DBClusterParameterGroup(
            "Parameters",
            Description=f"{inputs.name}: TLS only, with an audit log",
            Family=FAMILY,
            Parameters=PARAMETERS,
        )
    )
    template.add_resource(
        DBSubnetGroup(
            "Subnets",
            DBSubnetGroupDescription=f"{inputs.name}: data subnets",
            SubnetIds=list_output(inputs.name, NetworkStack.NETWORK, "DataSubnets"),
        )
    )


def _cluster(inputs: NetworkInputs, database: Database, *, depends_on: list[str]) -> DBCluster:
    key_arn = _security(inputs, "DataKeyArn")
    return DBCluster(
        "Cluster",
        DBClusterIdentifier=cluster_identifier(inputs.name),
        Engine=ENGINE,
        EngineVersion=database.engine_version,
        DatabaseName=database.name,
        Port=PORT,
        DBClusterParameterGroupName=Ref("Parameters"),
        DBSubnetGroupName=Ref("Subnets"),
        VpcSecurityGroupIds=[_security(inputs, DATABASE)],
        MasterUsername=MASTER,
        ManageMasterUserPassword=True,
        MasterUserSecret=MasterUserSecret(KmsKeyId=key_arn),
        EnableIAMDatabaseAuthentication=True,
        StorageEncrypted=True,
        KmsKeyId=key_arn,
        BackupRetentionPeriod=database.backup_days,
        PreferredBackupWindow=BACKUP_WINDOW,
        PreferredMaintenanceWindow=MAINTENANCE_WINDOW,
        CopyTagsToSnapshot=True,
        DeletionProtection=database.deletion_protection,
        EnableCloudwatchLogsExports=list(LOGS),
        DependsOn=depends_on,
        DeletionPolicy="Snapshot",
        UpdateReplacePolicy="Snapshot",
        **_capacity(database),
    )


def _capacity(database: Database) -> dict[str, Any]:
    if database.serverless is None:
        return {}
    capacity = ServerlessV2ScalingConfiguration(
        MinCapacity=database.serverless.min_capacity, MaxCapacity=database.serverless.max_capacity
    )
    return {"ServerlessV2ScalingConfiguration": capacity}


def _monitoring_role(inputs: NetworkInputs) -> Role:
    """Return the role that sends the members' operating system metrics.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Monitoring.OS.Enabling.html
    """
    members = f"arn:aws:rds:{inputs.region}:{inputs.account_id}:db:{cluster_identifier(inputs.name)}-*"
    return Role(
        "MonitoringRole",
        AssumeRolePolicyDocument=trust(
            service("monitoring.rds"), of_account(inputs.account_id, ArnLike={"aws:SourceArn": members})
        ),
        ManagedPolicyArns=[MONITORING_POLICY],
    )


def _member(inputs: NetworkInputs, member: DatabaseMember) -> DBInstance:
    return DBInstance(
        f"Member{logical(member.id)}",
        DBInstanceIdentifier=f"{cluster_identifier(inputs.name)}-{member.id}",
        DBClusterIdentifier=Ref("Cluster"),
        DBInstanceClass=member.db_class,
        Engine=ENGINE,
        PromotionTier=member.tier,
        PubliclyAccessible=False,
        AutoMinorVersionUpgrade=True,
        EnablePerformanceInsights=True,
        PerformanceInsightsKMSKeyId=_security(inputs, "DataKeyArn"),
        MonitoringInterval=MONITORING_INTERVAL_S,
        MonitoringRoleArn=GetAtt("MonitoringRole", "Arn"),
    )


def _add_outputs(template: Template) -> None:
    names = {
        "ClusterEndpoint": "Endpoint.Address",
        "ReaderEndpoint": "ReadEndpoint.Address",
        "ClusterPort": "Endpoint.Port",
        "ClusterResourceId": "DBClusterResourceId",
        "MasterSecretArn": "MasterUserSecret.SecretArn",
    }
    attributes = {name: GetAtt("Cluster", attribute) for name, attribute in names.items()}
    add_outputs(template, {"ClusterIdentifier": Ref("Cluster"), **attributes})
