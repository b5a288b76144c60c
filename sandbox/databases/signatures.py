# SPDX-License-Identifier: Apache-2.0
"""Read and prove tokens of IAM: links signed to connect to one endpoint as one user. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

SERVICE = "rds-db"
_ALGORITHM = "AWS4-HMAC-SHA256"
_TIME = "%Y%m%dT%H%M%SZ"
_LONGEST = timedelta(minutes=15)
# How far the clock of whoever signed may be ahead.
_SKEW = timedelta(minutes=5)
_OF_NOTHING = hashlib.sha256(b"").hexdigest()


class Refused(Exception):
    """A token that is not good, and why: for the log, as clients only hear that access is denied."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says."""

    endpoint: str
    user: str
    access_key: str
    session_token: str
    region: str
    begins: datetime
    lasts: timedelta
    signature: str = field(repr=False)
    signed: tuple[tuple[str, str], ...] = field(repr=False)

    def check_time(self, now: datetime) -> None:
        """Raise Refused unless the token is in force."""
        if self.lasts > _LONGEST:
            raise Refused("it is made to last longer than 15 minutes")
        if now > self.begins + self.lasts:
            raise Refused("it has expired")
        if now < self.begins - _SKEW:
            raise Refused("it is not yet in force")

    def check_signature(self, secret: str) -> None:
        """Raise Refused unless the secret signed the token."""
        if not hmac.compare_digest(self.signature, self._signature(secret)):
            raise Refused("its signature is wrong")

    def _signature(self, secret: str) -> str:
        moment = self.begins.strftime(_TIME)
        query = "&".join(f"{_quoted(key)}={_quoted(value)}" for key, value in sorted(self.signed))
        request = "\n".join(("GET", "/", query, f"host:{self.endpoint}", "", "host", _OF_NOTHING))
        scope = (moment[:8], self.region, SERVICE, "aws4_request")
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = f"AWS4{secret}".encode()
        for part in (*scope, "\n".join((_ALGORITHM, moment, "/".join(scope), digest))):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()


def parse(text: str) -> Token:
    """Read a token.

    Raises:
        Refused: it is none.
    """
    endpoint, _, query = text.partition("/?")
    pairs = parse_qsl(query, keep_blank_values=True)
    values = dict(pairs)
    try:
        access_key, day, region, service, kind = values["X-Amz-Credential"].split("/")
        token = Token(
            endpoint=endpoint,
            user=values["DBUser"],
            access_key=access_key,
            session_token=values.get("X-Amz-Security-Token", ""),
            region=region,
            begins=datetime.strptime(values["X-Amz-Date"], _TIME).replace(tzinfo=UTC),
            lasts=timedelta(seconds=int(values["X-Amz-Expires"])),
            signature=values["X-Amz-Signature"],
            signed=tuple(pair for pair in pairs if pair[0] != "X-Amz-Signature"),
        )
        action, headers, algorithm = (
            values["Action"],
            values["X-Amz-SignedHeaders"],
            values["X-Amz-Algorithm"],
        )
    except (KeyError, ValueError, OverflowError) as error:
        raise Refused("it is no signed link") from error
    if (action, headers, algorithm, service, kind) != (
        "connect",
        "host",
        _ALGORITHM,
        SERVICE,
        "aws4_request",
    ):
        raise Refused("it is signed for something else")
    if len(values) != len(pairs) or day != values["X-Amz-Date"][:8]:
        raise Refused("it contradicts itself")
    return token


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
