# SPDX-License-Identifier: Apache-2.0
"""The instance metadata service: what a machine can learn of itself at 169.254.169.254.

Version 2 always works (a PUT gives a token, which every GET then carries); version 1 works unless the
instance says `HttpTokens=required`. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

ADDRESS = "169.254.169.254"
PORT = 80
VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest")
LONGEST_TOKEN_S = 21600
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105 - the name of a header
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
CREDENTIALS_LAST = timedelta(hours=6)
# SDKs refresh some minutes before the end; AWS has new credentials ready by then.
CREDENTIALS_RENEWED = timedelta(minutes=30)

Leaf = str | Callable[[], str]
Tree = Mapping[str, "Leaf | Tree"]


@dataclass(frozen=True, slots=True)
class Role:
    """The IAM role of an instance profile."""

    name: str
    arn: str
    profile_arn: str
    profile_id: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials of a role."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: datetime


@dataclass(frozen=True, slots=True)
class Subject:
    """The instance that asks, and how it wants to be answered."""

    instance_id: str
    is_enabled: bool
    needs_token: bool
    hop_limit: int
    tree: Tree
    user_data: bytes | None
    identity: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One HTTP request to the service; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "text/plain"


class Tokens:
    """Makes and checks session tokens. A token is its own record: instance, end of life, and a signature."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def make(self, instance_id: str, ttl_s: int) -> str:
        """Return a token for `instance_id`."""
        claim = f"{instance_id}:{int(time.time()) + ttl_s}".encode()
        return base64.urlsafe_b64encode(self._sign(claim) + claim).decode()

    def is_valid(self, token: str, instance_id: str) -> bool:
        """Whether the token was made here for this instance and has not run out."""
        try:
            raw = base64.urlsafe_b64decode(token)
        except ValueError:
            return False
        signature, claim = raw[:32], raw[32:]
        if not hmac.compare_digest(signature, self._sign(claim)):
            return False
        owner, _, end = claim.decode().partition(":")
        return owner == instance_id and int(end) >= time.time()

    def _sign(self, claim: bytes) -> bytes:
        return hmac.digest(self._key, claim, hashlib.sha256)


def answer(question: Question, subject: Subject, tokens: Tokens) -> Answer:
    """Answer a question of the machine `subject`."""
    if not subject.is_enabled:
        return Answer(403)
    if question.method == "PUT" and question.path.rstrip("/") == "/latest/api/token":
        return _new_token(question, subject, tokens)
    if question.method not in ("GET", "HEAD"):
        return Answer(405)
    if not _may_read(question, subject, tokens):
        return Answer(401)
    return _read(question.path, subject)


def _may_read(question: Question, subject: Subject, tokens: Tokens) -> bool:
    token = question.headers.get(TOKEN_HEADER)
    if token is None:
        return not subject.needs_token
    return tokens.is_valid(token, subject.instance_id)


def _new_token(question: Question, subject: Subject, tokens: Tokens) -> Answer:
    if "x-forwarded-for" in question.headers:
        return Answer(403)
    ttl = question.headers.get(TTL_HEADER, "")
    if not ttl.isdigit() or not 1 <= int(ttl) <= LONGEST_TOKEN_S:
        return Answer(400)
    token = tokens.make(subject.instance_id, int(ttl))
    return Answer(200, token.encode(), {TTL_HEADER: ttl})


def _read(path: str, subject: Subject) -> Answer:
    parts = [part for part in path.partition("?")[0].split("/") if part]
    if not parts:
        return Answer(200, "\n".join(VERSIONS).encode())
    if parts[0] not in VERSIONS:
        return Answer(404)
    match parts[1:]:
        case ["user-data"] if subject.user_data is not None:
            return Answer(200, subject.user_data, content_type="application/octet-stream")
        case []:
            # The one listing where AWS writes no slash behind what can be listed further.
            return Answer(200, "\n".join(_whole_tree(subject)).encode())
        case rest:
            return _look_up(_whole_tree(subject), rest)


def _whole_tree(subject: Subject) -> Tree:
    document = json.dumps(subject.identity, indent=2)
    tree: dict[str, Leaf | Tree] = {
        "dynamic": {"instance-identity": {"document": document}},
        "meta-data": subject.tree,
    }
    if subject.user_data is not None:
        tree["user-data"] = ""
    return tree


def _look_up(tree: Tree, parts: list[str]) -> Answer:
    node: Leaf | Tree = tree
    for part in parts:
        if not isinstance(node, Mapping) or part not in node:
            return Answer(404)
        node = node[part]
    if isinstance(node, Mapping):
        return Answer(200, "\n".join(_listing(node)).encode())
    return Answer(200, (node if isinstance(node, str) else node()).encode())


def _listing(node: Tree) -> list[str]:
    names = []
    for name, child in sorted(node.items()):
        if isinstance(child, Mapping) and "openssh-key" in child:
            # The one place where AWS lists a name beside the index: `0=my-key`.
            names.append(f"{name}={child.get('_name', '')}")
        elif not name.startswith("_"):
            names.append(f"{name}/" if isinstance(child, Mapping) else name)
    return names


class RoleCredentials:
    """Keeps the credentials of each instance's role, and renews them in time."""

    def __init__(self, assume: Callable[[str, str, timedelta], Credentials]) -> None:
        self._assume = assume
        self._current: dict[tuple[str, str], Credentials] = {}

    def document(self, instance_id: str, role: Role) -> str:
        """Return the JSON that SDKs read."""
        known = self._current.get((instance_id, role.arn))
        if known is None or known.expiration - datetime.now(UTC) < CREDENTIALS_RENEWED:
            known = self._assume(role.arn, instance_id, CREDENTIALS_LAST)
            self._current[instance_id, role.arn] = known
        return json.dumps(
            {
                "Code": "Success",
                "LastUpdated": f"{known.expiration - CREDENTIALS_LAST:%Y-%m-%dT%H:%M:%SZ}",
                "Type": "AWS-HMAC",
                "AccessKeyId": known.access_key_id,
                "SecretAccessKey": known.secret_access_key,
                "Token": known.session_token,
                "Expiration": f"{known.expiration:%Y-%m-%dT%H:%M:%SZ}",
            },
            indent=2,
        )
