# SPDX-License-Identifier: Apache-2.0
"""Copy an object only if it is still the one that was meant: moto takes CopySourceIfMatch and ignores it.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from __future__ import annotations

from typing import Any

from moto.s3.exceptions import PreconditionFailed
from moto.s3.models import S3Backend

from sandbox.api.iam_conditions import current_environ
from sandbox.api.patches import Patches

_HEADER = "x-amz-copy-source-if-match"


def install(patches: Patches) -> None:
    """Let the condition count."""
    copy = S3Backend.copy_object

    def copy_object(backend: Any, src_key: Any, *arguments: Any, **options: Any) -> Any:
        environ = current_environ.get() or {}
        wanted = environ.get(f"HTTP_{_HEADER.upper().replace('-', '_')}")
        if wanted and wanted.strip('"') != src_key.etag.strip('"'):
            raise PreconditionFailed(failed_condition=_HEADER)
        return copy(backend, src_key, *arguments, **options)

    patches.replace(S3Backend, "copy_object", copy_object)
