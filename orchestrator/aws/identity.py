# SPDX-License-Identifier: Apache-2.0
"""Whom AWS takes us for."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.aws.session import AwsSession, translated


class AwsIdentity:
    """The account of the credentials in use and who uses them, asked for once."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session
        self._caller: Mapping[str, str] = {}

    def account_id(self) -> str:
        """Return the account of the credentials in use."""
        return self._ask()["Account"]

    def arn(self) -> str:
        """Return who uses them, as STS names him."""
        return self._ask()["Arn"]

    @translated
    def _ask(self) -> Mapping[str, str]:
        self._caller = self._caller or self._session.client("sts").get_caller_identity()
        return self._caller
