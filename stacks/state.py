# SPDX-License-Identifier: Apache-2.0
"""State: the buckets for what Slipway itself knows (config), for releases (bundles) and for access logs.

This stack goes up before everything else, because locks and records of the other stacks need a place; it
reads nothing of theirs. So S3 encrypts these buckets with its own keys: a key of ours would have to be here
too, and what locks, manifests and releases need is to be unchanged, not secret. Secrets are in SSM. The log
bucket could have none anyway: S3 delivers access logs to buckets of its own encryption only.
"""

from __future__ import annotations

from troposphere import Ref, Template, s3

from orchestrator.config.models import Environment
from stacks.buckets import AccessLog, bucket, bucket_policy, lifecycle
from stacks.inputs import EnvironmentInputs
from stacks.parts import add_outputs, skip_checks
from stacks.policies import asset_bucket, bucket_arn, on_behalf_of
from stacks.policy import Statement, service
from stacks.stack import EnvironmentStack, Stack

LOCKS = "locks/"


def synthesise(inputs: EnvironmentInputs) -> Stack:
    """Return the stack of the environment's state."""
    environment = inputs.environment
    template = Template(Description=f"The state of {environment.name}: config, bundles and access logs.")
    logs = _add_logs(template, environment)
    config = _add_config(template, environment, logs)
    bundles = _add_bundles(template, environment, logs)
    add_outputs(
        template,
        {
            "ConfigBucketName": Ref(config),
            "BundlesBucketName": Ref(bundles),
            "LogsBucketName": Ref(logs),
        },
    )
    return Stack(EnvironmentStack.STATE, environment.name, template, ())


def _add_config(template: Template, environment: Environment, logs: s3.Bucket) -> s3.Bucket:
    # A lock is written every few seconds while it is held, and nobody asks who held one yesterday.
    old_locks = s3.LifecycleRule(
        Id="locks",
        Status="Enabled",
        Prefix=LOCKS,
        NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=1),
    )
    config = bucket(
        "ConfigBucket",
        environment.config_bucket,
        log=AccessLog(Ref(logs), "s3/config/"),
        LifecycleConfiguration=lifecycle(environment.storage.noncurrent_days, old_locks),
    )
    return _with_policy(template, config)


def _add_bundles(template: Template, environment: Environment, logs: s3.Bucket) -> s3.Bucket:
    bundles = bucket(
        "BundlesBucket",
        asset_bucket(environment, "bundles"),
        log=AccessLog(Ref(logs), "s3/bundles/"),
        LifecycleConfiguration=lifecycle(environment.storage.noncurrent_days),
    )
    return _with_policy(template, bundles)


def _add_logs(template: Template, environment: Environment) -> s3.Bucket:
    expire = s3.LifecycleRule(Id="expire", Status="Enabled", ExpirationInDays=environment.storage.log_days)
    logs = bucket(
        "LogsBucket",
        asset_bucket(environment, "logs"),
        LifecycleConfiguration=lifecycle(1, expire),
        Metadata=skip_checks(CKV_AWS_18="A log of the log bucket would write itself for ever."),
    )
    return _with_policy(template, logs, _log_delivery(environment))


def _log_delivery(environment: Environment) -> Statement:
    """Let S3 write the access logs of the account's buckets.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """
    return {
        "Effect": "Allow",
        "Principal": service("logging.s3"),
        "Action": "s3:PutObject",
        "Resource": bucket_arn(asset_bucket(environment, "logs"), "*"),
        "Condition": on_behalf_of(environment, bucket_arn("*")),
    }


def _with_policy(template: Template, of: s3.Bucket, *statements: Statement) -> s3.Bucket:
    template.add_resource(bucket_policy(of, *statements))
    return template.add_resource(of)
