# SPDX-License-Identifier: Apache-2.0
"""Tell which permissions a call needs: the actions, and the ARNs they are about.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
A service that is not here is asked for by its action on `*`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from sandbox.api.access.policies import Need

Parameters = Mapping[str, Any]
# The prefix of a service's actions, where it is not botocore's name of the service.
_PREFIXES = {
    "elbv2": "elasticloadbalancing",
    "service-quotas": "servicequotas",
    "stepfunctions": "states",
}
_BUCKET_ACTIONS = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
}
_OBJECT_ACTIONS = {
    "HeadObject": "GetObject",
    "GetObjectAttributes": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "ListParts": "ListMultipartUploadParts",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where resources are whose names a call gives."""

    region: str
    account_id: str

    def arn(self, service: str, rest: str) -> str:
        """Return the ARN of a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{rest}"


def needs(service: str, operation: str, parameters: Parameters, place: Place) -> tuple[Need, ...]:
    """Return everything a call needs; all of it has to be allowed."""
    special = _SPECIAL.get(service)
    if special is not None:
        return tuple(special(operation, parameters, place))
    action = f"{_PREFIXES.get(service, service)}:{operation}"
    find = _RESOURCES.get(service)
    resources = tuple(find(operation, parameters, place)) if find else ()
    return tuple(Need(action, resource) for resource in resources or ("*",))


def _s3(operation: str, parameters: Parameters, _: Place) -> Iterator[Need]:
    bucket, key = parameters.get("Bucket"), parameters.get("Key")
    if bucket is None:
        yield Need("s3:ListAllMyBuckets" if operation == "ListBuckets" else f"s3:{operation}", "*")
        return
    arn = f"arn:aws:s3:::{bucket}"
    if operation == "DeleteObjects":
        for each in parameters["Delete"]["Objects"]:
            yield Need("s3:DeleteObject", f"{arn}/{each['Key']}")
        return
    if key is None:
        keys = {"s3:prefix": str(parameters.get("Prefix", ""))}
        yield Need(f"s3:{_BUCKET_ACTIONS.get(operation, operation)}", arn, keys)
        return
    yield from _object_needs(operation, parameters, f"{arn}/{key}")


def _object_needs(operation: str, parameters: Parameters, arn: str) -> Iterator[Need]:
    if operation in ("CopyObject", "UploadPartCopy"):
        source = unquote(str(parameters["CopySource"])).lstrip("/").partition("?")[0]
        yield Need("s3:GetObject", f"arn:aws:s3:::{source}")
        yield Need("s3:PutObject", arn)
        return
    action = _OBJECT_ACTIONS.get(operation, operation)
    versioned = {"GetObject", "DeleteObject", "GetObjectTagging", "PutObjectTagging"}
    if parameters.get("VersionId") and action in versioned:
        action = action.replace("Object", "ObjectVersion")
    yield Need(f"s3:{action}", arn)


def _ssm(operation: str, parameters: Parameters, place: Place) -> Iterator[Need]:
    names = [parameters.get("Name"), parameters.get("Path"), *parameters.get("Names", ())]
    if operation in ("AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource"):
        names.append(parameters.get("ResourceId"))
    # https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policy-conditions.html
    overwrite = {"ssm:overwrite": str(bool(parameters.get("Overwrite"))).lower()}
    keys = overwrite if operation == "PutParameter" else {}
    given = [str(name) for name in names if name]
    for name in given:
        plain = name.removeprefix(place.arn("ssm", "parameter")).strip("/").partition(":")[0]
        yield Need(f"ssm:{operation}", place.arn("ssm", f"parameter/{plain}"), keys)
    if not given:
        yield Need(f"ssm:{operation}", "*")


def _sqs(_: str, parameters: Parameters, place: Place) -> Iterator[str]:
    name = parameters.get("QueueName") or str(parameters.get("QueueUrl", "")).rpartition("/")[2]
    if name:
        yield place.arn("sqs", str(name))


def _sns(_: str, parameters: Parameters, place: Place) -> Iterator[str]:
    given = parameters.get("TopicArn") or parameters.get("TargetArn") or parameters.get("ResourceArn")
    if given:
        yield str(given)
    elif parameters.get("Name"):
        yield place.arn("sns", str(parameters["Name"]))


def _lambda(operation: str, parameters: Parameters, place: Place) -> Iterator[Need]:
    name = str(parameters.get("FunctionName", ""))
    arn = name if name.startswith("arn:") else place.arn("lambda", f"function:{name}")
    action = "InvokeFunction" if operation == "Invoke" else operation
    yield Need(f"lambda:{action}", arn if name else "*")


def _secrets(_: str, parameters: Parameters, place: Place) -> Iterator[str]:
    name = parameters.get("SecretId") or parameters.get("Name")
    if name:
        # An ARN ends with six characters that a name has not: https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples.html
        plain = str(name)
        yield plain if plain.startswith("arn:") else place.arn("secretsmanager", f"secret:{plain}-AAAAAA")


def _kms(_: str, parameters: Parameters, place: Place) -> Iterator[str]:
    key = parameters.get("KeyId")
    if key:
        plain = str(key)
        yield (
            plain
            if plain.startswith("arn:")
            else place.arn("kms", plain if plain.startswith("alias/") else f"key/{plain}")
        )


def _logs(_: str, parameters: Parameters, place: Place) -> Iterator[str]:
    group = parameters.get("logGroupName")
    if group:
        stream = parameters.get("logStreamName")
        yield place.arn("logs", f"log-group:{group}:" + (f"log-stream:{stream}" if stream else "*"))


def _rds(operation: str, parameters: Parameters, place: Place) -> Iterator[str]:
    cluster = parameters.get("DBClusterIdentifier")
    if cluster or operation == "DescribeDBClusters":
        name = str(cluster or "*")
        yield name if name.startswith("arn:") else place.arn("rds", f"cluster:{name}")


def _autoscaling(_: str, parameters: Parameters, place: Place) -> Iterator[str]:
    name = parameters.get("AutoScalingGroupName")
    if name:
        yield place.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}")


def _cloudformation(_: str, parameters: Parameters, place: Place) -> Iterator[str]:
    name = str(parameters.get("StackName", ""))
    if name:
        yield name if name.startswith("arn:") else place.arn("cloudformation", f"stack/{name}/*")


def _iam(_: str, parameters: Parameters, place: Place) -> Iterator[str]:
    for parameter, kind in (("RoleName", "role"), ("InstanceProfileName", "instance-profile")):
        if parameters.get(parameter):
            yield f"arn:aws:iam::{place.account_id}:{kind}/{parameters[parameter]}"
            return
    if parameters.get("PolicyArn"):
        yield str(parameters["PolicyArn"])


def _sts(operation: str, parameters: Parameters, _: Place) -> Iterator[Need]:
    # Nobody can be kept from asking who they are.
    if operation not in ("GetCallerIdentity", "GetSessionToken"):
        yield Need(f"sts:{operation}", str(parameters.get("RoleArn", "*")))


def _cloudwatch(operation: str, parameters: Parameters, _: Place) -> Iterator[Need]:
    keys = {"cloudwatch:namespace": str(parameters["Namespace"])} if parameters.get("Namespace") else {}
    yield Need(f"cloudwatch:{operation}", "*", keys)


_SPECIAL: Mapping[str, Callable[[str, Parameters, Place], Iterator[Need]]] = {
    "s3": _s3,
    "lambda": _lambda,
    "ssm": _ssm,
    "sts": _sts,
    "cloudwatch": _cloudwatch,
}
_RESOURCES: Mapping[str, Callable[[str, Parameters, Place], Iterator[str]]] = {
    "sqs": _sqs,
    "sns": _sns,
    "secretsmanager": _secrets,
    "kms": _kms,
    "logs": _logs,
    "autoscaling": _autoscaling,
    "rds": _rds,
    "cloudformation": _cloudformation,
    "iam": _iam,
}
