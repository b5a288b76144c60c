# SPDX-License-Identifier: Apache-2.0
"""Find the policies in templates, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

POLICY_KEYS = {"PolicyDocument", "AssumeRolePolicyDocument", "KeyPolicy"}


def statements(value: Any) -> Iterator[dict[str, Any]]:
    """Give the statements of all policies in a value."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in POLICY_KEYS:
                yield from each["Statement"]
            else:
                yield from statements(each)
    elif isinstance(value, list):
        for each in value:
            yield from statements(each)
