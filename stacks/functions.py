# SPDX-License-Identifier: Apache-2.0
"""Functions: image_variants makes the smaller sizes of every uploaded image and keeps a copy of the original.

S3 calls it for every upload. What AWS tried three times in vain, and what the function itself refuses, goes
to a queue of its own for somebody to look at. It goes up before the buckets it works on, because the uploads
bucket can only name a function that exists and lets itself be called; so its role names buckets that are yet
to come.
"""

from __future__ import annotations

import json
from typing import Any

from troposphere import GetAtt, Ref, Template, awslambda, iam, sqs
from troposphere.logs import LogGroup

from orchestrator.config.models import Environment, ImageVariants
from stacks.inputs import EnvironmentInputs
from stacks.parts import add_log_group, add_outputs, skip_checks
from stacks.policies import arn, asset_arn, asset_bucket, role_path, use_key
from stacks.policy import Statement, allow, document, service, trust
from stacks.queues import add_dead_letter_queue
from stacks.stack import EnvironmentStack, NetworkStack, Stack, output, stack_name

HANDLER = "image_variants.handler.handle"
# Pillow holds an image of 80 megapixels and its copies; the processor's share grows with the memory.
MEMORY_MIB = 2048
TIMEOUT_S = 120
RETRIES = 2
# Keeps a flood of uploads from taking the account's whole concurrency, of which new accounts have little.
CONCURRENCY = 10


def synthesise(inputs: EnvironmentInputs) -> Stack:
    """Return the stack of the environment's functions."""
    environment, network = inputs.environment, inputs.network.name
    key_arn = output(network, NetworkStack.SECURITY, "DataKeyArn")
    template = Template(Description=f"The functions of {environment.name}.")
    dead_letters = add_dead_letter_queue(
        template,
        environment,
        title="ImageVariantsDeadLetterQueue",
        name=f"{function_name(environment)}-dead",
        key_arn=key_arn,
    )
    log_group = add_log_group(
        template,
        "ImageVariantsLogs",
        name=f"/aws/lambda/{function_name(environment)}",
        days=environment.storage.log_days,
        key_arn=output(network, NetworkStack.SECURITY, "LogsKeyArn"),
    )
    role = template.add_resource(_role(environment, dead_letters, log_group, key_arn=key_arn))
    function = template.add_resource(_function(inputs, role, dead_letters, log_group=log_group))
    _let_it_be_called(template, environment, function, dead_letters=dead_letters)
    add_outputs(
        template,
        {
            "ImageVariantsArn": GetAtt(function, "Arn"),
            "ImageVariantsName": Ref(function),
            "ImageVariantsDeadLetterQueueName": GetAtt(dead_letters, "QueueName"),
        },
    )
    depends_on = (
        stack_name(network, NetworkStack.SECURITY),
        stack_name(environment.name, EnvironmentStack.STATE),
    )
    return Stack(EnvironmentStack.FUNCTIONS, environment.name, template, depends_on)


def function_name(environment: Environment) -> str:
    """Return the name of the image_variants function."""
    return f"slipway-{environment.name}-image-variants"


def _role(
    environment: Environment, dead_letters: sqs.Queue, log_group: LogGroup, *, key_arn: Any
) -> iam.Role:
    statements = [*_data_statements(environment), use_key(key_arn, environment, ["s3", "sqs"])]
    statements += [
        allow(["sqs:SendMessage"], [GetAtt(dead_letters, "Arn")]),
        allow(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [arn(environment, "logs", f"log-group:{log_group.LogGroupName}:log-stream:*")],
        ),
    ]
    return iam.Role(
        "ImageVariantsRole",
        Path=role_path(environment),
        AssumeRolePolicyDocument=trust(service("lambda")),
        Policies=[iam.Policy(PolicyName="image-variants", PolicyDocument=document(*statements))],
    )


def _data_statements(environment: Environment) -> list[Statement]:
    return [
        allow(["s3:GetObject"], [asset_arn(environment, "uploads", "*")]),
        # Without it S3 answers "forbidden" for an upload that is gone again, not "not found".
        allow(["s3:ListBucket"], [asset_arn(environment, "uploads")]),
        allow(
            ["s3:PutObject"],
            [
                asset_arn(environment, "content", "variants/*"),
                asset_arn(environment, "originals", "originals/*"),
            ],
        ),
    ]


def _function(
    inputs: EnvironmentInputs, role: iam.Role, dead_letters: sqs.Queue, *, log_group: LogGroup
) -> awslambda.Function:
    environment = inputs.environment
    return awslambda.Function(
        "ImageVariants",
        FunctionName=function_name(environment),
        Runtime="python3.11",
        Architectures=["x86_64"],
        Handler=HANDLER,
        Code=awslambda.Code(
            S3Bucket=output(environment.name, EnvironmentStack.STATE, "BundlesBucketName"),
            S3Key=inputs.function_keys["image_variants"],
        ),
        Role=GetAtt(role, "Arn"),
        MemorySize=MEMORY_MIB,
        Timeout=TIMEOUT_S,
        ReservedConcurrentExecutions=CONCURRENCY,
        Environment=awslambda.Environment(Variables=_variables(environment, dead_letters)),
        # No tracing: one call a photo of one function, whose log tells what a trace would.
        # The log group comes first: else the first call makes one without encryption, for ever.
        DependsOn=[log_group.title],
        Metadata=skip_checks(
            CKV_AWS_116="What failed goes to the queue of EventInvokeConfig, which tells the error too.",
            CKV_AWS_117="Talks to S3 and SQS only; in the VPC it would need ways out that it has no use for.",
            CKV_AWS_173="Names of buckets and of a queue, and sizes: nothing secret.",
        ),
    )


def _variables(environment: Environment, dead_letters: sqs.Queue) -> dict[str, Any]:
    settings: ImageVariants = environment.image_variants
    return {
        "CONTENT_BUCKET": asset_bucket(environment, "content"),
        "ORIGINALS_BUCKET": asset_bucket(environment, "originals"),
        "SIZES": json.dumps(dict(settings.sizes), sort_keys=True, separators=(",", ":")),
        "QUALITY": str(settings.quality),
        "MAX_MEGAPIXELS": str(settings.max_megapixels),
        "DEAD_LETTER_QUEUE_URL": Ref(dead_letters),
    }


def _let_it_be_called(
    template: Template, environment: Environment, function: awslambda.Function, *, dead_letters: sqs.Queue
) -> None:
    template.add_resource(
        awslambda.EventInvokeConfig(
            "ImageVariantsRetries",
            FunctionName=Ref(function),
            Qualifier="$LATEST",
            MaximumRetryAttempts=RETRIES,
            DestinationConfig=awslambda.DestinationConfig(
                OnFailure=awslambda.OnFailure(Destination=GetAtt(dead_letters, "Arn"))
            ),
        )
    )
    template.add_resource(
        awslambda.Permission(
            "ImageVariantsUploads",
            FunctionName=Ref(function),
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
            SourceArn=asset_arn(environment, "uploads"),
            SourceAccount=environment.account_id,
        )
    )
