# SPDX-License-Identifier: Apache-2.0
"""What every workflow asks first that changes something in an environment."""

from __future__ import annotations

from orchestrator.config.models import Environment
from orchestrator.errors import Refused
from orchestrator.ports import Identity


def guard_account(environment: Environment, identity: Identity) -> None:
    """Refuse to change anything when the credentials are another account's."""
    wanted, found = environment.account_id, identity.account_id()
    if wanted != found:
        raise Refused(
            f"environment {environment.name}",
            f"the credentials are of account {found}, the environment is account {wanted}",
            next_command="choose the credentials of the environment's account (AWS_PROFILE)",
        )
