# SPDX-License-Identifier: Apache-2.0
"""Parameters of SSM that are no secrets: the AMI that a fleet runs, the release of an application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.aws.session import AwsSession, translated
from orchestrator.errors import AwsError

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
_AT_ONCE = 10


class SsmParameters:
    """SSM's Parameter Store."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @property
    def _ssm(self) -> Any:
        return self._session.client("ssm")

    @translated
    def get(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the values of those that exist."""
        return {
            each["Name"]: each["Value"]
            for some in _batches(names)
            for each in self._ssm.get_parameters(Names=list(some))["Parameters"]
        }

    def create(self, name: str, value: str) -> bool:
        """Write a new parameter; return False when there is one already, which stays as it is."""
        try:
            self._put(name, value, is_over=False)
        except AwsError as exc:
            if exc.code != "ParameterAlreadyExists":
                raise
            return False
        return True

    def put(self, name: str, value: str) -> None:
        """Write a parameter, a new one or over the one that is there."""
        self._put(name, value, is_over=True)

    @translated
    def below(self, path: str) -> Mapping[str, str]:
        """Return the values of the parameters directly below a path, by what their names say after it."""
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(Path=path)
        return {
            each["Name"].removeprefix(f"{path}/"): each["Value"]
            for page in pages
            for each in page["Parameters"]
        }

    @translated
    def delete(self, names: Sequence[str]) -> None:
        """Delete parameters; what is gone already is no error."""
        for some in _batches(names):
            self._ssm.delete_parameters(Names=list(some))

    @translated
    def _put(self, name: str, value: str, *, is_over: bool) -> None:
        self._ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=is_over)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), _AT_ONCE):
        yield names[first : first + _AT_ONCE]
