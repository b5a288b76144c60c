# SPDX-License-Identifier: Apache-2.0
"""Functions really run: answers, errors, limits, asynchronous events, and what buckets tell them."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.region.conftest import LocalRegion

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
S3_MAY_SEND = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": "*",
            }
        ],
    }
)
MAY_SEND = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}],
    }
)
BUCKET = "uploads-of-a-test"


def bundle(source: str) -> bytes:
    """Return a function's code as Lambda takes it."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("function.py", source)
    return written.getvalue()


@pytest.fixture(name="create")
def fixture_create(local: LocalRegion) -> Callable[..., str]:
    role = local.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]

    local.client("iam").put_role_policy(RoleName="function", PolicyName="send", PolicyDocument=MAY_SEND)

    def create(source: str, **options: Any) -> str:
        made = local.client("lambda").create_function(
            **{"FunctionName": "function", "Runtime": RUNTIME, "Role": role, "Handler": "function.handle",
               "Code": {"ZipFile": bundle(source)}} | options
        )  # fmt: skip
        return str(made["FunctionArn"])

    return create


@pytest.fixture(name="queue")
def fixture_queue(local: LocalRegion) -> tuple[str, str]:
    """Return the URL and ARN of a queue."""
    sqs = local.client("sqs")
    url = sqs.create_queue(QueueName="letters")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return str(url), str(arn)


def invoke(local: LocalRegion, event: object = None, **options: Any) -> dict[str, Any]:
    return dict(
        local.client("lambda").invoke(FunctionName="function", Payload=json.dumps(event or {}), **options)
    )


def received(local: LocalRegion, url: str) -> Any:
    """Return the next message of a queue, with its attributes."""

    def receive() -> Any:
        answer = local.client("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"])
        return (answer.get("Messages") or [None])[0]

    return local.until(receive, bool)


def test_a_function_answers(local: LocalRegion, create: Callable[..., str]) -> None:
    create(
        "def handle(event, context):\n    return {'twice': 2 * event['n'], 'name': context.function_name}\n"
    )
    answer = invoke(local, {"n": 21})
    assert answer["StatusCode"] == 200
    assert json.loads(answer["Payload"].read()) == {"twice": 42, "name": "function"}
    assert "FunctionError" not in answer


def test_an_error_of_the_handler_is_told(local: LocalRegion, create: Callable[..., str]) -> None:
    create("def handle(event, context):\n    raise ValueError('too blue')\n")
    answer = invoke(local)
    assert answer["FunctionError"] == "Unhandled"
    document = json.loads(answer["Payload"].read())
    assert (document["errorType"], document["errorMessage"]) == ("ValueError", "too blue")


@pytest.mark.parametrize(
    ("body", "options", "message"),
    [
        ("import time\n    time.sleep(60)", {"Timeout": 1}, "Task timed out after 1.00 seconds"),
        ("return len(bytes(1 << 30))", {"MemorySize": 128}, ""),
        ("import os\n    os._exit(3)", {}, "Runtime exited with error: exit status 3"),
    ],
    ids=["time", "memory", "the process"],
)
def test_the_limits_of_a_function_hold(
    local: LocalRegion, create: Callable[..., str], body: str, options: dict[str, int], message: str
) -> None:
    create(f"def handle(event, context):\n    {body}\n", **options)
    answer = invoke(local)
    assert answer["FunctionError"] == "Unhandled"
    assert message in json.loads(answer["Payload"].read())["errorMessage"]


def test_a_function_finds_the_packages_of_the_runtime_and_no_others(
    local: LocalRegion, create: Callable[..., str]
) -> None:
    create(
        "import importlib.util as u\n"
        "def handle(event, context):\n"
        "    return [bool(u.find_spec(name)) for name in ('boto3', 'PIL', 'moto', 'sandbox')]\n"
    )
    assert json.loads(invoke(local)["Payload"].read()) == [True, False, False, False]


def test_a_function_uses_the_region_as_its_role(local: LocalRegion, create: Callable[..., str]) -> None:
    create(
        "import boto3\n"
        "def handle(event, context):\n"
        "    return boto3.client('sts').get_caller_identity()['Arn']\n"
    )
    arn = json.loads(invoke(local)["Payload"].read())
    assert arn == "arn:aws:sts::123456789012:assumed-role/function/function"


def test_what_a_function_prints_is_in_its_log_group(local: LocalRegion, create: Callable[..., str]) -> None:
    create("def handle(event, context):\n    print('hello', event['who'])\n")
    invoke(local, {"who": "reader"})
    events = local.client("logs").filter_log_events(logGroupName="/aws/lambda/function")["events"]
    assert [event["message"] for event in events][1] == "hello reader"


def test_an_asynchronous_event_is_accepted_at_once_and_runs(
    local: LocalRegion, create: Callable[..., str], queue: tuple[str, str]
) -> None:
    url, _ = queue
    create(
        "import boto3, json\n"
        "def handle(event, context):\n"
        "    boto3.client('sqs').send_message(QueueUrl=event['url'], MessageBody='ran')\n"
    )
    assert invoke(local, {"url": url}, InvocationType="Event")["StatusCode"] == 202
    assert received(local, url)["Body"] == "ran"


def test_an_event_that_never_succeeds_goes_to_the_dead_letter_queue(
    local: LocalRegion, create: Callable[..., str], queue: tuple[str, str]
) -> None:
    url, arn = queue
    create(
        "def handle(event, context):\n    raise ValueError('never')\n", DeadLetterConfig={"TargetArn": arn}
    )
    local.client("lambda").put_function_event_invoke_config(FunctionName="function", MaximumRetryAttempts=0)
    invoke(local, {"n": 1}, InvocationType="Event")
    message = received(local, url)
    assert json.loads(message["Body"]) == {"n": 1}
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "never"


def test_a_failed_event_is_told_to_its_destination(
    local: LocalRegion, create: Callable[..., str], queue: tuple[str, str]
) -> None:
    url, arn = queue
    create("def handle(event, context):\n    raise ValueError('never')\n")
    local.client("lambda").put_function_event_invoke_config(
        FunctionName="function",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    invoke(local, {"n": 1}, InvocationType="Event")
    record = json.loads(received(local, url)["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["requestPayload"] == {"n": 1}


def permit_s3(local: LocalRegion) -> None:
    local.client("lambda").add_permission(
        FunctionName="function",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{BUCKET}",
        SourceAccount="123456789012",
    )


def notify(local: LocalRegion, arn: str) -> None:
    s3 = local.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )


def test_an_upload_reaches_the_function_of_the_bucket(
    local: LocalRegion, create: Callable[..., str], queue: tuple[str, str]
) -> None:
    url, _ = queue
    arn = create(
        "import boto3, json\n"
        f"def handle(event, context):\n"
        f"    boto3.client('sqs').send_message(QueueUrl={url!r}, MessageBody=json.dumps(event))\n"
    )
    permit_s3(local)
    notify(local, arn)
    local.client("s3").put_object(Bucket=BUCKET, Key="a b/ü+.txt", Body=b"text")
    record = json.loads(received(local, url)["Body"])["Records"][0]
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["bucket"]["name"] == BUCKET
    assert record["s3"]["object"]["key"] == "a+b/%C3%BC%2B.txt"
    assert record["s3"]["object"]["size"] == 4


def test_a_bucket_can_t_name_a_function_that_does_not_let_it(
    local: LocalRegion, create: Callable[..., str]
) -> None:
    arn = create("def handle(event, context):\n    pass\n")
    with pytest.raises(ClientError, match="Unable to validate the following destination configurations"):
        notify(local, arn)


def test_an_upload_reaches_a_queue(local: LocalRegion, queue: tuple[str, str]) -> None:
    url, arn = queue
    local.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": S3_MAY_SEND})
    s3 = local.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    assert json.loads(received(local, url)["Body"])["Event"] == "s3:TestEvent"
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"")
    bodies = [json.loads(received(local, url)["Body"])]
    assert bodies[-1]["Records"][0]["s3"]["object"]["key"] == "k"


@pytest.mark.parametrize(
    ("options", "what"),
    [({"Runtime": "nodejs22.x"}, "Runtime nodejs22.x"), ({"PackageType": "Image"}, "PackageType Image")],
)
def test_a_kind_of_function_that_can_t_run_here_is_refused(
    create: Callable[..., str], options: dict[str, str], what: str
) -> None:
    with pytest.raises(ClientError, match=what):
        create("", **options)
