# SPDX-License-Identifier: Apache-2.0
"""CloudFront as state: what was configured is checked, kept and read back; no edge serves anything.

moto drops much of a distribution's configuration and has no policies and no function stages.

https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.cloudfront import urls
from moto.cloudfront.models import cloudfront_backends
from moto.cloudfront.responses import CloudFrontResponse
from moto.core.models import DEFAULT_ACCOUNT_ID

from sandbox.api import cloudfront_distributions as distributions
from sandbox.api import cloudfront_functions, own_operations
from sandbox.api import cloudfront_policies as policies
from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records
from sandbox.api.patches import Patches

_ID_LETTERS = string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of configured object: how it is called, what it shows of itself, what must hold of it."""

    noun: str
    path: str
    describe: Callable[[str, Mapping[str, Any]], dict[str, Any]]
    check: Callable[[Records, str | None, Parameters], None]
    check_removal: Callable[[Records, str, Mapping[str, Any]], None]

    @property
    def configuration(self) -> str:
        """The name of the parameter that configures it."""
        return f"{self.noun}Config"


def install(patches: Patches) -> None:
    """Answer CloudFront's operations here."""
    own_operations.open_paths(patches, urls, CloudFrontResponse.dispatch)
    own_operations.install(patches, CloudFrontResponse, backend=_backend, operations=_operations())


def _backend(_: Any) -> Any:
    return cloudfront_backends[DEFAULT_ACCOUNT_ID]["aws"]


def _operations() -> dict[str, Operation]:
    operations: dict[str, Operation] = {
        "CreateDistributionWithTags": _create_with_tags,
        "CreateInvalidation": _create_invalidation,
        "GetInvalidation": _get_invalidation,
        "ListTagsForResource": _list_tags,
        "TagResource": _tag,
        "UntagResource": _untag,
    }
    for kind in KINDS:
        operations |= {
            f"Create{kind.noun}": _create(kind),
            f"Get{kind.noun}": _get(kind),
            f"Get{kind.noun}Config": _get_configuration(kind),
            f"Update{kind.noun}": _update(kind),
            f"Delete{kind.noun}": _delete(kind),
        }
    lists = {"Distribution": distributions.listing, "OriginAccessControl": policies.list_controls}
    for noun, listing in lists.items():
        operations[f"List{noun}s"] = listing
    for noun, plural in (
        ("CachePolicy", "CachePolicies"),
        ("ResponseHeadersPolicy", "ResponseHeadersPolicies"),
    ):
        operations[f"List{plural}"] = policies.list_policies(noun)
    return operations | cloudfront_functions.OPERATIONS


def _create(kind: Kind) -> Operation:
    def create(records: Records, parameters: Parameters) -> dict[str, Any]:
        configuration = parameters[kind.configuration]
        kind.check(records, None, configuration)
        identifier = "E" + "".join(secrets.choice(_ID_LETTERS) for _ in range(13))
        record = {"configuration": configuration, "domain": f"d{secrets.token_hex(7)[:13]}.cloudfront.net"}
        records.setdefault(kind.noun, {})[identifier] = record
        _touch(record)
        location = f"https://cloudfront.amazonaws.com/2020-05-31/{kind.path}/{identifier}"
        return _shown(kind, identifier, record) | {"Location": location}

    return create


def _create_with_tags(records: Records, parameters: Parameters) -> dict[str, Any]:
    given = parameters["DistributionConfigWithTags"]
    answer = dict(_create(DISTRIBUTION)(records, given) or {})
    _tags(records)[answer["Distribution"]["ARN"]] = {
        tag["Key"]: tag.get("Value", "") for tag in given["Tags"].get("Items") or []
    }
    return answer


def _get(kind: Kind) -> Operation:
    return lambda records, parameters: _shown(kind, *_find(kind, records, parameters))


def _get_configuration(kind: Kind) -> Operation:
    def get(records: Records, parameters: Parameters) -> dict[str, Any]:
        _, record = _find(kind, records, parameters)
        return {kind.configuration: record["configuration"], "ETag": record["etag"]}

    return get


def _update(kind: Kind) -> Operation:
    def update(records: Records, parameters: Parameters) -> dict[str, Any]:
        identifier, record = _find(kind, records, parameters)
        check_version(record, parameters)
        kind.check(records, identifier, parameters[kind.configuration])
        record["configuration"] = parameters[kind.configuration]
        _touch(record)
        return _shown(kind, identifier, record)

    return update


def _delete(kind: Kind) -> Operation:
    def delete(records: Records, parameters: Parameters) -> None:
        identifier, record = _find(kind, records, parameters)
        check_version(record, parameters)
        kind.check_removal(records, identifier, record)
        del records[kind.noun][identifier]
        _tags(records).pop(distributions.arn_of(identifier), None)

    return delete


def check_version(record: Mapping[str, Any], parameters: Parameters) -> None:
    """Refuse a change that was made of an older state."""
    if not parameters.get("IfMatch"):
        raise AwsError("InvalidIfMatchVersion", "The If-Match version is missing or not valid.")
    if parameters["IfMatch"] != record["etag"]:
        message = "The request failed because it didn't meet the preconditions in one or more fields."
        raise AwsError("PreconditionFailed", message)


def _find(kind: Kind, records: Records, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    identifier = str(parameters["Id"])
    record = records.get(kind.noun, {}).get(identifier)
    if record is None:
        raise AwsError(f"NoSuch{kind.noun}", f"The specified {kind.noun} {identifier} does not exist.")
    return identifier, record


def _shown(kind: Kind, identifier: str, record: Mapping[str, Any]) -> dict[str, Any]:
    return {kind.noun: kind.describe(identifier, record), "ETag": record["etag"]}


def _touch(record: dict[str, Any]) -> None:
    record["etag"] = "E" + "".join(secrets.choice(_ID_LETTERS) for _ in range(13))
    record["modified"] = datetime.now(UTC)


def _create_invalidation(records: Records, parameters: Parameters) -> dict[str, Any]:
    distribution, _ = _find(DISTRIBUTION, records, {"Id": parameters["DistributionId"]})
    identifier = "I" + "".join(secrets.choice(_ID_LETTERS) for _ in range(25))
    # There is no cache, so nothing of it is stale.
    invalidation = {
        "Id": identifier,
        "Status": "Completed",
        "CreateTime": datetime.now(UTC),
        "InvalidationBatch": parameters["InvalidationBatch"],
    }
    records.setdefault("Invalidation", {})[identifier] = invalidation | {"distribution": distribution}
    place = (
        f"https://cloudfront.amazonaws.com/2020-05-31/distribution/{distribution}/invalidation/{identifier}"
    )
    return {"Location": place, "Invalidation": invalidation}


def _get_invalidation(records: Records, parameters: Parameters) -> dict[str, Any]:
    distribution, _ = _find(DISTRIBUTION, records, {"Id": parameters["DistributionId"]})
    invalidation = records.get("Invalidation", {}).get(parameters["Id"])
    if invalidation is None or invalidation["distribution"] != distribution:
        raise AwsError("NoSuchInvalidation", "The specified invalidation does not exist.")
    return {"Invalidation": invalidation}


def _tags(records: Records) -> dict[str, Any]:
    return records.setdefault("Tags", {})


def _list_tags(records: Records, parameters: Parameters) -> dict[str, Any]:
    tags = _tags_of(records, parameters)
    return {"Tags": {"Items": [{"Key": key, "Value": value} for key, value in tags.items()]}}


def _tag(records: Records, parameters: Parameters) -> None:
    tags = _tags_of(records, parameters)
    tags.update({tag["Key"]: tag.get("Value", "") for tag in parameters["Tags"].get("Items") or []})


def _untag(records: Records, parameters: Parameters) -> None:
    tags = _tags_of(records, parameters)
    for key in parameters["TagKeys"].get("Items") or []:
        tags.pop(key, None)


def _tags_of(records: Records, parameters: Parameters) -> dict[str, str]:
    arn = parameters["Resource"]
    known = {distributions.arn_of(identifier) for identifier in records.get("Distribution", {})}
    if arn not in known | cloudfront_functions.arns(records):
        raise AwsError("NoSuchResource", f"The resource {arn} does not exist.")
    tags: dict[str, str] = _tags(records).setdefault(arn, {})
    return tags


DISTRIBUTION = Kind(
    "Distribution",
    "distribution",
    distributions.describe,
    distributions.check,
    distributions.check_removal,
)
KINDS = (
    DISTRIBUTION,
    *(
        Kind(noun, path, policies.describe(noun), policies.check_name(noun), policies.check_unused(noun))
        for noun, path in (
            ("OriginAccessControl", "origin-access-control"),
            ("CachePolicy", "cache-policy"),
            ("ResponseHeadersPolicy", "response-headers-policy"),
        )
    ),
)
