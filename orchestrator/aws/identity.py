# SPDX-License-Identifier: Apache-2.0
"""Whom AWS takes us for."""

from __future__ import annotations

from orchestrator.aws.session import AwsSession, translated


class AwsIdentity:
    """The account of the credentials in use, asked for once."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session
        self._account_id = ""

    @translated
    def account_id(self) -> str:
        """Return the account of the credentials in use."""
        if not self._account_id:
            self._account_id = self._session.client("sts").get_caller_identity()["Account"]
        return self._account_id
