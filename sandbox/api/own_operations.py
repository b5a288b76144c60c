# SPDX-License-Identifier: Apache-2.0
"""Operations of AWS that moto lacks, or whose parameters it drops, as plain functions over plain data.

An operation gets the records that the region keeps for its service and the parameters as botocore's model
names them, and returns the answer in the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores

from sandbox.api.patches import Patches

Records = dict[str, dict[str, Any]]
Parameters = Mapping[str, Any]
Operation = Callable[[Records, Parameters], Mapping[str, Any] | None]
FindBackend = Callable[[Any], Any]

_ATTRIBUTE = "slipway_records"


def records_of(backend: Any) -> Records:
    """Return the records kept with moto's backend of a service, so that they are saved with it.

    Under `region` they tell the region's name, which stands in ARNs.
    """
    records: Records = vars(backend).setdefault(_ATTRIBUTE, {"region": {"name": backend.region_name}})
    return records


def install(
    patches: Patches, responses: type, *, backend: FindBackend, operations: Mapping[str, Operation]
) -> None:
    """Let the class that answers for a service answer these operations by these functions."""
    for name, operation in operations.items():
        patches.replace(responses, camelcase_to_underscores(name), _method(backend, operation))


def open_paths(patches: Patches, urls: Any, dispatch: Callable[..., Any]) -> None:
    """Let every path reach the service: moto routes only those that it knows operations of."""
    patches.replace(urls, "url_paths", {"{0}/(?P<path>.*)$": dispatch})


def parameters_of(response: Any) -> dict[str, Any]:
    """Parse the parameters of the request that a response object answers."""
    response.parse_parameters(response.normalized_request)
    parsed: dict[str, Any] = dict(response.params)
    return parsed


def _method(backend: FindBackend, operation: Operation) -> Callable[[Any], ActionResult]:
    def answer(response: Any) -> ActionResult:
        result = operation(records_of(backend(response)), parameters_of(response))
        return ActionResult(dict(result or {}))

    return answer
