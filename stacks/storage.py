# SPDX-License-Identifier: Apache-2.0
"""Storage: a bucket for each kind of what users and the application own.

uploads   what browsers send, by URLs that the api signs; every object starts the image_variants function
originals the backup of every upload, moved to colder storage by and by
content   what was made of it; CloudFront reads it
web       the web application; CloudFront reads it

The policies of content and web are in the cdn stack, since a bucket has one policy and theirs names the
distribution. Config, bundles and access logs are in the state stack.
"""

from __future__ import annotations

from typing import Any

from troposphere import Ref, Template, s3

from orchestrator.config.models import Environment
from stacks.buckets import AccessLog, bucket, bucket_policy, lifecycle, transitions
from stacks.inputs import EnvironmentInputs
from stacks.parts import add_outputs
from stacks.policies import asset_bucket
from stacks.stack import EnvironmentStack, NetworkStack, Stack, output, stack_name

COLDER = ((30, "STANDARD_IA"), (90, "GLACIER_IR"))
_CORS_MAX_AGE_S = 3600


def synthesise(inputs: EnvironmentInputs) -> Stack:
    """Return the stack of the environment's buckets."""
    environment = inputs.environment
    key_arn = output(inputs.network.name, NetworkStack.SECURITY, "DataKeyArn")
    template = Template(Description=f"The buckets of {environment.name}: uploads, originals, content, web.")
    for each in (
        _uploads(environment, key_arn),
        _plain(environment, "originals", key_arn, transitions("colder", COLDER)),
    ):
        template.add_resource(each)
        template.add_resource(bucket_policy(each))
    template.add_resource(_plain(environment, "content", key_arn))
    template.add_resource(_plain(environment, "web", key_arn))
    add_outputs(
        template,
        {f"{title}Name": Ref(title) for title in sorted(template.resources) if not title.endswith("Policy")},
    )
    depends_on = (
        stack_name(inputs.network.name, NetworkStack.SECURITY),
        stack_name(environment.name, EnvironmentStack.STATE),
        stack_name(environment.name, EnvironmentStack.FUNCTIONS),
    )
    return Stack(EnvironmentStack.STORAGE, environment.name, template, depends_on)


def _uploads(environment: Environment, key_arn: Any) -> s3.Bucket:
    function_arn = output(environment.name, EnvironmentStack.FUNCTIONS, "ImageVariantsArn")
    created = s3.LambdaConfigurations(Event="s3:ObjectCreated:*", Function=function_arn)
    return _plain(
        environment,
        "uploads",
        key_arn,
        NotificationConfiguration=s3.NotificationConfiguration(LambdaConfigurations=[created]),
        CorsConfiguration=s3.CorsConfiguration(CorsRules=[_from_browsers(environment)]),
    )


def _from_browsers(environment: Environment) -> s3.CorsRules:
    """Let pages of the web application send files. What they may send, the signature of the URL says."""
    return s3.CorsRules(
        AllowedMethods=["POST", "PUT"],
        AllowedOrigins=[web_origin(environment)],
        AllowedHeaders=["*"],
        ExposedHeaders=["ETag"],
        MaxAge=_CORS_MAX_AGE_S,
    )


def web_origin(environment: Environment) -> str:
    """Return where browsers have the web application from.

    Without a name of its own that is CloudFront's for the distribution, which comes later than this stack.
    """
    return f"https://{environment.cdn.host}" if environment.cdn else "https://*.cloudfront.net"


def _plain(
    environment: Environment, asset_class: str, key_arn: Any, *rules: s3.LifecycleRule, **more: Any
) -> s3.Bucket:
    logs = output(environment.name, EnvironmentStack.STATE, "LogsBucketName")
    return bucket(
        f"{asset_class.capitalize()}Bucket",
        asset_bucket(environment, asset_class),
        key_arn=key_arn,
        log=AccessLog(logs, f"s3/{asset_class}/"),
        LifecycleConfiguration=lifecycle(environment.storage.noncurrent_days, *rules),
        **more,
    )
