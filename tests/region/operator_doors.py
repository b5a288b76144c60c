# SPDX-License-Identifier: Apache-2.0
"""What commands about doors ask of AWS, asked in a region with all stacks as its operators and no more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orchestrator.aws.audit_trail import AwsAuditTrail
from orchestrator.aws.authority import KmsAuthority
from orchestrator.aws.cloudformation import AwsStacks
from orchestrator.aws.database_logins import AwsDatabaseLogins
from orchestrator.aws.directory import AwsDirectory
from orchestrator.aws.identity import AwsIdentity
from orchestrator.aws.parameters import SsmParameters
from orchestrator.domain.door import blocked_path, host_keys_path, keys_path
from orchestrator.errors import AwsError
from tests.fakes import ACCOUNT, FakeClock

from .conftest import LocalRegion
from .operator_session import operator_session

ENVIRONMENT, DATABASE_STACK = "sandbox", "slipway-sandbox-database"
RECORD = {"session": "s-1", "event": "began", "who": "ann"}


def fleets_that_run(local: LocalRegion) -> set[str]:
    """Return the fleets of which a machine runs, as operators see them."""
    return {each.fleet for each in AwsDirectory(operator_session(local, ENVIRONMENT)).running(ENVIRONMENT)}


def answers(local: LocalRegion) -> dict[str, Any]:
    """Return what each call answers; a refusal is answered with its text."""
    session = operator_session(local, ENVIRONMENT)
    authority, parameters = KmsAuthority(session, ENVIRONMENT), SsmParameters(session)
    logins, stacks = AwsDatabaseLogins(session), AwsStacks(session)
    trail = AwsAuditTrail(session, ENVIRONMENT, ACCOUNT, FakeClock(datetime.now(UTC)))
    key, blocked = f"{keys_path(ENVIRONMENT)}/bob", f"{blocked_path(ENVIRONMENT)}/bob"
    asked: dict[str, Callable[[], Any]] = {
        "who am I": lambda: AwsIdentity(session).arn().rpartition(":")[2],
        "machines": lambda: fleets_that_run(local),
        "host keys": lambda: parameters.below(host_keys_path(ENVIRONMENT, "api")),
        "let a key in": lambda: parameters.create(key, "ssh-ed25519 AAAA"),
        "keep somebody out": lambda: parameters.put(blocked, "2030-01-02T03:04:05Z"),
        "who is kept out": lambda: parameters.below(blocked_path(ENVIRONMENT)),
        "take both back": lambda: parameters.delete([key, blocked]),
        "authority": lambda: authority.public_key()[:8],
        "signature": lambda: len(authority.sign(b"a certificate")),
        "database": lambda: sorted(stacks.get(DATABASE_STACK).outputs),
        "master": lambda: logins.secret(stacks.get(DATABASE_STACK).outputs["MasterSecretArn"])[0],
        "token": lambda: logins.token("host", 3306, f"{ENVIRONMENT}_operator").startswith("host:3306/?"),
        "record": lambda: trail.write(RECORD, key="2030/01/02/operators-s-1-began.json"),
    }
    return {name: _answer(call) for name, call in asked.items()}


def _answer(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except AwsError as refused:
        return str(refused)
