# SPDX-License-Identifier: Apache-2.0
"""What an account has once: the trail of every API call, the record of every configuration, threat detection.

Recorder and delivery channel do not depend on each other: AWS wants the recorder before it takes a channel,
and the channel before the recorder is complete.
"""

from __future__ import annotations

from troposphere import GetAtt, Template
from troposphere.cloudtrail import Trail
from troposphere.config import (
    ConfigRule,
    ConfigurationRecorder,
    DeliveryChannel,
    RecordingGroup,
    Source,
)
from troposphere.guardduty import CFNFeatureConfiguration, Detector
from troposphere.iam import Policy, Role

from stacks.inputs import NetworkInputs
from stacks.network_logs import CONFIG_PREFIX, TRAIL_PREFIX, logs_bucket_name
from stacks.policies import bucket_arn
from stacks.policy import allow, document, of_account, service, trust
from stacks.stack import NetworkStack, output

CONFIG_POLICY = "arn:aws:iam::aws:policy/service-role/AWS_ConfigRole"
# What the templates promise, looked at from outside of them.
# https://docs.aws.amazon.com/config/latest/developerguide/managed-rules-by-aws-config.html
RULES = {
    "NoOpenSsh": "INCOMING_SSH_DISABLED",
    "NoPublicBuckets": "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED",
    "BucketsOverTls": "S3_BUCKET_SSL_REQUESTS_ONLY",
    "EncryptedVolumes": "ENCRYPTED_VOLUMES",
    "EncryptedDatabases": "RDS_STORAGE_ENCRYPTED",
    "MetadataByToken": "EC2_IMDSV2_CHECK",
    "FlowLogs": "VPC_FLOW_LOGS_ENABLED",
    "RootMfa": "ROOT_ACCOUNT_MFA_ENABLED",
    "TrailValidated": "CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED",
    "KeysRotate": "CMK_BACKING_KEY_ROTATION_ENABLED",
}
DETECTED = ("S3_DATA_EVENTS", "RDS_LOGIN_EVENTS", "EBS_MALWARE_PROTECTION")


def add(template: Template, inputs: NetworkInputs) -> None:
    """Add CloudTrail, Config with its rules, and GuardDuty."""
    template.add_resource(
        Trail(
            "Trail",
            TrailName=f"slipway-{inputs.name}",
            IsLogging=True,
            IsMultiRegionTrail=True,
            IncludeGlobalServiceEvents=True,
            EnableLogFileValidation=True,
            KMSKeyId=output(inputs.name, NetworkStack.SECURITY, "LogsKeyArn"),
            S3BucketName=logs_bucket_name(inputs),
            S3KeyPrefix=TRAIL_PREFIX,
        )
    )
    _add_config(template, inputs)
    template.add_resource(
        Detector(
            "Detector",
            Enable=True,
            FindingPublishingFrequency="FIFTEEN_MINUTES",
            Features=[CFNFeatureConfiguration(Name=name, Status="ENABLED") for name in DETECTED],
        )
    )


def _add_config(template: Template, inputs: NetworkInputs) -> None:
    template.add_resource(_config_role(inputs))
    template.add_resource(
        ConfigurationRecorder(
            "Recorder",
            Name="default",
            RoleARN=GetAtt("ConfigRole", "Arn"),
            RecordingGroup=RecordingGroup(AllSupported=True, IncludeGlobalResourceTypes=True),
        )
    )
    template.add_resource(
        DeliveryChannel(
            "DeliveryChannel",
            Name="default",
            S3BucketName=logs_bucket_name(inputs),
            S3KeyPrefix=CONFIG_PREFIX,
        )
    )
    for title, identifier in RULES.items():
        template.add_resource(
            ConfigRule(
                f"{title}Rule",
                ConfigRuleName=identifier.lower().replace("_", "-"),
                Source=Source(Owner="AWS", SourceIdentifier=identifier),
                DependsOn=["Recorder", "DeliveryChannel"],
            )
        )


def _config_role(inputs: NetworkInputs) -> Role:
    """Return the role that reads all configurations and writes them below one prefix.

    https://docs.aws.amazon.com/config/latest/developerguide/iamrole-permissions.html
    """
    bucket = logs_bucket_name(inputs)
    below = bucket_arn(bucket, f"{CONFIG_PREFIX}/AWSLogs/{inputs.account_id}/*")
    return Role(
        "ConfigRole",
        AssumeRolePolicyDocument=trust(service("config"), of_account(inputs.account_id)),
        ManagedPolicyArns=[CONFIG_POLICY],
        Policies=[
            Policy(
                PolicyName="deliver",
                PolicyDocument=document(
                    allow(["s3:PutObject"], [below]), allow(["s3:GetBucketAcl"], [bucket_arn(bucket)])
                ),
            )
        ],
    )
