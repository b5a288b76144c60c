# SPDX-License-Identifier: Apache-2.0
"""How people log in to the database: with a token of IAM, or with the password that RDS keeps."""

from __future__ import annotations

import json

from orchestrator.aws.session import AwsSession, translated
from orchestrator.errors import AwsError


class AwsDatabaseLogins:
    """Tokens of RDS, which are made here, and secrets of Secrets Manager."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @translated
    def token(self, host: str, port: int, user: str) -> str:
        """Return a password for a user who logs in by IAM; it is valid for 15 minutes.

        It is signed for this host and port: those of the cluster, whatever port of ours leads there.
        """
        token: str = self._session.client("rds").generate_db_auth_token(
            DBHostname=host, Port=port, DBUsername=user, Region=self._session.endpoint.region
        )
        return token

    def secret(self, arn: str) -> tuple[str, str]:
        """Return user and password as RDS keeps them in Secrets Manager.

        https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
        """
        try:
            found = json.loads(self._text(arn))
            return str(found["username"]), str(found["password"])
        except (ValueError, TypeError, KeyError):
            # Not `from`: what was read stands in the cause.
            cause = f"{arn} is not a secret with the user and the password of a database"
            raise AwsError("secretsmanager", "GetSecretValue", "UnexpectedSecret", cause) from None

    @translated
    def _text(self, arn: str) -> str:
        answer = self._session.client("secretsmanager").get_secret_value(SecretId=arn)
        return str(answer.get("SecretString", ""))
