# SPDX-License-Identifier: Apache-2.0
"""What machines of each class may do, asked from inside of them with the credentials of their role."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.environments.demo import Demo

pytestmark = pytest.mark.sandbox

ACCOUNT = "123456789012"
# Runs in the machine, with Debian's boto3, which does not know AWS_ENDPOINT_URL yet.
ASK = """
import json, os, sys
import boto3
from botocore.exceptions import ClientError

answers = {}
for name, (service, operation, parameters) in json.load(sys.stdin).items():
    client = boto3.client(service, region_name="us-east-1", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    try:
        getattr(client, operation)(**parameters)
        answers[name] = "allowed"
    except ClientError as error:
        code = error.response["Error"]["Code"]
        refused = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
        answers[name] = "refused" if code in refused else code
print(json.dumps(answers))
"""
UPLOADS, BUNDLES = f"slipway-sandbox-uploads-{ACCOUNT}", f"slipway-sandbox-bundles-{ACCOUNT}"
LOGS = f"slipway-sandbox-logs-{ACCOUNT}"
RECORDS = {"logGroupName": "/slipway/sandbox/access"}
OWN_RECORD, OTHERS_RECORD = (f"access/2030/01/02/{name}.json" for name in ("i-0", "operators-0"))
SIGNED = {"Message": "x", "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_512"}
NEW = {"Type": "String"}
QUEUE = f"http://queue/{ACCOUNT}/slipway-sandbox-jobs"
QUESTIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "own class's parameters": ("ssm", "get_parameters_by_path", {"Path": "/slipway/sandbox/{class}/"}),
    "own class's secret": (
        "ssm", "get_parameter", {"Name": "/slipway/sandbox/{class}/secret", "WithDecryption": True},
    ),
    "another class's secret": ("ssm", "get_parameter", {"Name": "/slipway/sandbox/{other}/secret"}),
    "production's secret": ("ssm", "get_parameter", {"Name": "/slipway/production/{class}/secret"}),
    "production's parameters": ("ssm", "get_parameters_by_path", {"Path": "/slipway/production/"}),
    "all parameters": ("ssm", "get_parameters_by_path", {"Path": "/", "Recursive": True}),
    "which release to run": ("ssm", "get_parameter", {"Name": "/slipway/sandbox/app/release"}),
    "to change the release": (
        "ssm", "put_parameter", {"Name": "/slipway/sandbox/app/release", "Value": "evil", "Overwrite": True},
    ),
    "to change the fleet's image": (
        "ssm", "put_parameter", {"Name": "/slipway/sandbox/api/ami", "Value": "ami-1", "Overwrite": True},
    ),
    "a bundle": ("s3", "get_object", {"Bucket": BUNDLES, "Key": "app/1"}),
    "to replace a bundle": (
        "s3", "put_object", {"Bucket": BUNDLES, "Key": "app/1", "Body": "evil"},
    ),
    "records and locks": ("s3", "list_objects_v2", {"Bucket": "slipway-sandbox-config"}),
    "to upload": ("s3", "put_object", {"Bucket": UPLOADS, "Key": "up", "Body": "x"}),
    "others' uploads": ("s3", "get_object", {"Bucket": UPLOADS, "Key": "up"}),
    "to send jobs": ("sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "{}"}),
    "to take jobs": ("sqs", "receive_message", {"QueueUrl": QUEUE}),
    "who may sign for people": ("kms", "get_public_key", {"KeyId": "alias/slipway-sandbox-ssh"}),
    "to sign for people itself": ("kms", "sign", {"KeyId": "alias/slipway-sandbox-ssh", **SIGNED}),
    "whom to let in": ("ssm", "get_parameters_by_path", {"Path": "/slipway/sandbox/ssh", "Recursive": True}),
    "to let somebody in": (
        "ssm", "put_parameter", {"Name": "/slipway/sandbox/ssh/keys/eve", "Value": "ssh-ed25519 A", **NEW},
    ),
    "to let in whom somebody blocked": (
        "ssm", "delete_parameter", {"Name": "/slipway/sandbox/ssh/blocked/eve"},
    ),
    "to write over host keys": (
        "ssm", "put_parameter",
        {"Name": "/slipway/sandbox/host-keys/{class}/i-0", "Value": "x", "Type": "String", "Overwrite": True},
    ),
    "to tell who came": ("logs", "create_log_stream", {**RECORDS, "logStreamName": "{class}/i-permissions"}),
    "to tell who came elsewhere": ("logs", "create_log_stream", {**RECORDS, "logStreamName": "{other}/i-0"}),
    "to tell what people did": ("logs", "create_log_stream", {**RECORDS, "logStreamName": "operators/eve"}),
    "what others tell": ("logs", "filter_log_events", RECORDS),
    "to keep who came": ("s3", "put_object", {"Bucket": LOGS, "Key": OWN_RECORD, "Body": "{}"}),
    "to keep what people did": (
        "s3", "put_object", {"Bucket": LOGS, "Key": OTHERS_RECORD, "Body": "{}"},
    ),
    "what others keep": ("s3", "get_object", {"Bucket": LOGS, "Key": OWN_RECORD}),
    "secrets": ("secretsmanager", "list_secrets", {}),
    "other machines": ("ec2", "describe_instances", {}),
    "to become an operator": (
        "sts", "assume_role", {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any", "RoleSessionName": "someone"},
    ),
    "to give itself more": ("iam", "list_roles", {}),
}  # fmt: skip
EVERYBODY = {
    "own class's parameters", "own class's secret", "which release to run", "a bundle",
    "who may sign for people", "whom to let in", "to tell who came", "to keep who came",
}  # fmt: skip
ALLOWED = {
    "bastion": EVERYBODY,
    "api": EVERYBODY | {"to upload", "to send jobs"},
    "worker": EVERYBODY | {"to take jobs"},
}


@pytest.fixture(name="there", scope="module")
def fixture_there(demo: Demo) -> None:
    """Have what is asked for, so that nothing is refused for not being there."""
    ssm, s3 = demo.client("ssm"), demo.client("s3")
    for environment in ("sandbox", "production"):
        for server_class in ALLOWED:
            name = f"/slipway/{environment}/{server_class}/secret"
            ssm.put_parameter(Name=name, Value="canary", Type="SecureString", Overwrite=True)
    ssm.put_parameter(Name="/slipway/sandbox/app/release", Value="1", Type="String", Overwrite=True)
    s3.put_object(Bucket=BUNDLES, Key="app/1", Body=b"bundle")
    s3.put_object(Bucket=UPLOADS, Key="up", Body=b"upload")


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("fleet", sorted(ALLOWED))
def test_a_class_may_do_this_and_nothing_else(demo: Demo, fleet: str) -> None:
    other = next(name for name in ALLOWED if name != fleet)
    text = json.dumps(QUESTIONS).replace("{class}", fleet).replace("{other}", other)
    instance_id = demo.machines("sandbox", fleet)[-1]["InstanceId"]
    assert ask(demo, instance_id, text) == {
        name: "allowed" if name in ALLOWED[fleet] else "refused" for name in QUESTIONS
    }


def test_without_the_role_s_credentials_a_machine_may_do_nothing(demo: Demo) -> None:
    question = json.dumps({"anything": ("s3", "list_buckets", {})})
    instance_id = demo.machines("sandbox", "api")[-1]["InstanceId"]
    environ = "AWS_ACCESS_KEY_ID=guessed AWS_SECRET_ACCESS_KEY=guessed"
    assert ask(demo, instance_id, question, environ) == {"anything": "InvalidClientTokenId"}


def ask(demo: Demo, instance_id: str, questions: str, environ: str = "") -> Any:
    """Ask the questions in a machine."""
    # The host may be busy; what is tested is what is answered, not how soon.
    environ += " AWS_METADATA_SERVICE_TIMEOUT=10 AWS_METADATA_SERVICE_NUM_ATTEMPTS=3"
    told = demo.run(instance_id, f"{environ} python3 -c '{ASK}' <<'EOF'\n{questions}\nEOF")
    assert told.returncode == 0, told
    return json.loads(told.stdout)
