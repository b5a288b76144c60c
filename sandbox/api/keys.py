# SPDX-License-Identifier: Apache-2.0
"""Say of every KMS key what it is for; moto leaves out what the caller did not say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.kms.models import Key

from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put the correction in place."""
    patches.replace(Key, "__init__", _with_defaults(Key.__init__))


def _with_defaults(original: Callable[..., None]) -> Callable[..., None]:
    def initialise(key: Any, policy: Any, key_usage: Any, *arguments: Any, **options: Any) -> None:
        original(key, policy, key_usage or "ENCRYPT_DECRYPT", *arguments, **options)
        key.multi_region = bool(key.multi_region)

    return initialise
