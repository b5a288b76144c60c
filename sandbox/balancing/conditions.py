# SPDX-License-Identifier: Apache-2.0
"""Write the conditions of listener rules as HAProxy's ACLs.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
"""

from __future__ import annotations

from collections.abc import Callable

from sandbox.balancing.shape import Condition
from sandbox.balancing.words import quoted, wildcard

_HOST = "req.hdr(host),field(1,:)"
_IN_QUERY = "[^&]"


def tests(condition: Condition) -> list[str]:
    """Return the tests, any of which fulfils the condition."""
    write = _TESTS[condition.field]
    return [write(condition, value) for value in condition.values]


def _host(condition: Condition, value: str) -> str:
    del condition
    return f"{_HOST} -m reg -i {_whole(value)}"


def _path(condition: Condition, value: str) -> str:
    del condition
    return f"path -m reg {_whole(value)}"


def _header(condition: Condition, value: str) -> str:
    return f"req.fhdr({condition.header}) -m reg -i {_whole(value)}"


def _method(condition: Condition, value: str) -> str:
    del condition
    return f"method -m str {quoted(value)}"


def _query(condition: Condition, value: str) -> str:
    del condition
    key, _, wanted = value.partition("=")
    name = wildcard(key, any_letter=_IN_QUERY)
    pattern = f"(^|&){name}={wildcard(wanted, any_letter=_IN_QUERY)}(&|$)"
    return f"query -m reg -i {quoted(pattern)}"


def _source(condition: Condition, value: str) -> str:
    del condition
    return f"src {quoted(value)}"


def _whole(value: str) -> str:
    return quoted(f"^{wildcard(value)}$")


_TESTS: dict[str, Callable[[Condition, str], str]] = {
    "host-header": _host,
    "path-pattern": _path,
    "http-header": _header,
    "http-request-method": _method,
    "query-string": _query,
    "source-ip": _source,
}
