# SPDX-License-Identifier: Apache-2.0
"""Doors: what a certificate opens, and the names that machines and records know it by.

Machines know nothing of people. They know principals, `<environment>/<server class>/<door>`, and let in
whoever shows a certificate of the environment's authority for one of theirs. Who it was stands in the
certificate's key id, `<who>/<door>/<session>`, which sshd logs and audit records repeat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

# What names of people may consist of, in key ids and in paths of parameters, which know no other letters:
# https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
WHO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")


class Door(StrEnum):
    """What somebody may do on a machine."""

    JUMP = "jump"  # go on through the bastion to other machines' ssh port, and nothing else
    SHELL = "shell"  # work on the machine
    READER = "reader"  # go on to the database's reader endpoint, and nothing else
    WRITER = "writer"  # go on to its writer endpoint, and nothing else


def principal(environment: str, server_class: str, door: Door) -> str:
    """Return the principal that opens a door of a class's machines."""
    return f"{environment}/{server_class}/{door.value}"


@dataclass(frozen=True, slots=True)
class KeyId:
    """Who opened which door: what a certificate is known by in logs."""

    who: str
    door: Door
    session: str

    def __str__(self) -> str:
        return f"{self.who}/{self.door.value}/{self.session}"


def who_of(arn: str) -> str:
    """Return the name of a person by the ARN that STS answers with: of a role's session, or of a user.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    return known_as(arn.rpartition(":")[2].rpartition("/")[2])


def known_as(name: str) -> str:
    """Return how machines and records call a person: `ann@example.com` is `ann-example.com` to them."""
    return _STRANGE.sub("-", name).strip("-._")[:64].rstrip("-._") or "nobody"


def authority_alias(environment: str) -> str:
    """Return the alias of the KMS key that signs an environment's certificates."""
    return f"alias/slipway-{environment}-ssh"


def host_keys_path(environment: str, fleet: str) -> str:
    """Return the path of the parameters with the host keys of a fleet's machines, by instance id."""
    return f"/slipway/{environment}/host-keys/{fleet}"


def keys_path(environment: str) -> str:
    """Return the path of the parameters with people's own public keys, by name."""
    return f"/slipway/{environment}/ssh/keys"


def blocked_path(environment: str) -> str:
    """Return the path of the parameters that name who is kept out, with the time since when."""
    return f"/slipway/{environment}/ssh/blocked"


def database_parameter(environment: str, server_class: str) -> str:
    """Return the parameter that tells a class's machines where the database is.

    Its value is JSON: `{"reader": host, "writer": host, "port": 3306, "name": schema, "user": login by IAM}`.
    """
    return f"/slipway/{environment}/{server_class}/database"


def access_log_group(environment: str) -> str:
    """Return the log group that tells who went through which door."""
    return f"/slipway/{environment}/access"
