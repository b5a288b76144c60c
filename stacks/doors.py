# SPDX-License-Identifier: Apache-2.0
"""Doors to machines and databases: what signs who may pass, what tells who did, and what both sides need.

People show certificates. A key that never leaves KMS signs them: the environment's authority. Its use is what
makes somebody an operator for machines, so only operators may sign, and machines read its public half only.

Records of who went where are in a log group, for looking into, and below `access/` of the logs bucket, for
keeping. Machines can add to both and read neither; each fleet has streams of its own, so that what one tells
is not told by another. The log group only grows: nobody here can change or remove what it holds.
"""

from __future__ import annotations

import json
from typing import Any

from troposphere import GetAtt, Ref, Sub, Template, kms, ssm

from orchestrator.config.models import Environment
from orchestrator.domain.door import access_log_group, authority_alias, database_parameter
from stacks.database import PORT, cluster_identifier
from stacks.inputs import EnvironmentInputs
from stacks.machine_access import database_user, reaches_database
from stacks.parts import add_log_group
from stacks.policies import ACCESS_RECORDS, OPERATORS_RECORDS, arn, asset_arn, log_group_arn
from stacks.policy import Statement, account, allow, document
from stacks.stack import NetworkStack, logical, output

# The name, with the environment's before it, by which people log in to the database without a password.
OPERATOR = "operator"
OPERATORS_STREAMS = "log-stream:operators/*"
# The shortest that KMS takes: the key goes with its environment, and holds nothing that was worth keeping.
PENDING_DAYS = 7


def add(template: Template, inputs: EnvironmentInputs) -> dict[str, Any]:
    """Add the authority and the log group of an environment, and return what others read of them."""
    environment = inputs.environment
    authority = template.add_resource(_authority(environment))
    template.add_resource(
        kms.Alias("AuthorityAlias", AliasName=authority_alias(environment.name), TargetKeyId=Ref(authority))
    )
    add_log_group(
        template,
        "AccessLogGroup",
        name=access_log_group(environment.name),
        days=environment.storage.log_days,
        key_arn=output(inputs.network.name, NetworkStack.SECURITY, "LogsKeyArn"),
    )
    return {"AuthorityArn": GetAtt(authority, "Arn")}


def _authority(environment: Environment) -> kms.Key:
    """Return the key that signs certificates.

    It is deleted with its stack: all that is lost is that nobody gets in until there is another. KMS rotates
    no asymmetric keys; certificates end after minutes, and machines ask for the key again and again.
    """
    return kms.Key(
        "Authority",
        Description=f"slipway {environment.name}: signs certificates of people",
        KeySpec="RSA_4096",
        KeyUsage="SIGN_VERIFY",
        PendingWindowInDays=PENDING_DAYS,
        KeyPolicy=document(allow(["kms:*"], ["*"], principal=account(environment.account_id))),
    )


def operator_statements(inputs: EnvironmentInputs) -> list[Statement]:
    """Return what people need to open doors, and to see who else did."""
    environment = inputs.environment
    group = access_log_group(environment.name)
    statements = [
        allow(["kms:DescribeKey", "kms:GetPublicKey", "kms:Sign"], [GetAtt("Authority", "Arn")]),
        allow(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [log_group_arn(environment, group, OPERATORS_STREAMS)],
        ),
        allow(["logs:FilterLogEvents", "logs:GetLogEvents"], [log_group_arn(environment, group)]),
        allow(
            ["s3:ListBucket"],
            [asset_arn(environment, "logs")],
            condition={"StringLike": {"s3:prefix": ACCESS_RECORDS}},
        ),
        allow(["s3:GetObject"], [asset_arn(environment, "logs", ACCESS_RECORDS)]),
        allow(["s3:PutObject"], [asset_arn(environment, "logs", OPERATORS_RECORDS)]),
    ]
    if uses_database(inputs):
        statements += _database_statements(inputs)
    return statements


def uses_database(inputs: EnvironmentInputs) -> bool:
    """Tell whether there is a database, and a fleet through which people can get to it."""
    return any(reaches_database(inputs, fleet) for fleet in inputs.environment.fleets.values())


def _database_statements(inputs: EnvironmentInputs) -> list[Statement]:
    """Let people log in: by IAM as a user of the environment's own, or as the master user.

    A new cluster has nobody but its master, who makes the users of environments, the one of the operators
    too; so operators can read the password that RDS keeps. Environments that share a cluster thereby share
    their operators as far as data go: one whose data are not for the others' has a network, with a cluster,
    of its own.
    """
    environment, network = inputs.environment, inputs.network.name
    secret = output(network, NetworkStack.DATABASE, "MasterSecretArn")
    cluster = output(network, NetworkStack.DATABASE, "ClusterResourceId")
    user = arn(environment, "rds-db", f"dbuser:${{Cluster}}/{database_user(environment.name, OPERATOR)}")
    through_secrets = {
        "kms:ViaService": f"secretsmanager.{environment.region}.amazonaws.com",
        # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
        "kms:EncryptionContext:SecretARN": secret,
    }
    return [
        allow(
            ["rds:DescribeDBClusters"], [arn(environment, "rds", f"cluster:{cluster_identifier(network)}")]
        ),
        allow(["rds-db:connect"], [Sub(user, Cluster=cluster)]),
        allow(["secretsmanager:GetSecretValue"], [secret]),
        allow(
            ["kms:Decrypt"],
            [output(network, NetworkStack.SECURITY, "DataKeyArn")],
            condition={"StringEquals": through_secrets},
        ),
    ]


def database_parameters(inputs: EnvironmentInputs) -> list[ssm.Parameter]:
    """Return the parameters that tell machines where the database is: one for each class that reaches it."""
    fleets = inputs.environment.fleets.values()
    classes = {fleet.server_class for fleet in fleets if reaches_database(inputs, fleet)}
    return [_database_parameter(inputs, server_class) for server_class in sorted(classes)]


def _database_parameter(inputs: EnvironmentInputs, server_class: str) -> ssm.Parameter:
    environment, network = inputs.environment.name, inputs.network.name
    database = inputs.network.network.database
    text = {
        "reader": "${Reader}",
        "writer": "${Writer}",
        "port": PORT,
        "name": database.name if database else "",
        "user": database_user(environment, server_class),
    }
    return ssm.Parameter(
        f"{logical(server_class)}Database",
        Name=database_parameter(environment, server_class),
        Type="String",
        Description=f"{environment}: where the database is for {server_class}",
        Value=Sub(
            json.dumps(text),
            Reader=output(network, NetworkStack.DATABASE, "ReaderEndpoint"),
            Writer=output(network, NetworkStack.DATABASE, "ClusterEndpoint"),
        ),
    )
