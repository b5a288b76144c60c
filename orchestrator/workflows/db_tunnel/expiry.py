# SPDX-License-Identifier: Apache-2.0
"""Tell credentials that have expired from other refusals of AWS: trying again can't help, logging in does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.errors import AwsError, TokenExpired

# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})


@contextmanager
def telling_expiry(what: str) -> Iterator[None]:
    """Turn AWS's word for expired credentials into TokenExpired, inside the block."""
    try:
        yield
    except AwsError as error:
        if error.code not in _CODES:
            raise
        raise TokenExpired(
            what,
            f"the credentials for AWS have expired ({error.code})",
            next_command=error.next_command or "log in to AWS again (`aws sso login`), then the same command",
        ) from error
