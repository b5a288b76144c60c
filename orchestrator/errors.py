# SPDX-License-Identifier: Apache-2.0
"""Every error Slipway raises on purpose, and the exit code it ends with.

    SlipwayError
    |- ConfigError    3  a file of the project is missing or invalid; nothing was called
    |- Refused        4  unsafe state, lock held, not confirmed; nothing changed
    |  `- DriftFound  4  what is there is not what the stacks say
    |- AwsError       5  AWS refused or failed
    |  `- NotFound    5  the thing asked for does not exist
    |- RemoteError    6  ssh, packer or ansible failed
    |  `- BootTestFailed  6  a candidate image did not pass; it was taken back
    |- RolledBack     7  failed, and the old version is back in service
    |- Stranded       8  failed and not rolled back: a person must look
    |- WaitTimeout    9  the limit passed, the outcome is unknown
    `- DoorError          a way to a machine or a database can't be opened, or broke for good
       |- PortBusy            20  the local port is taken
       |- KeyRefused          21  a machine does not let us in
       |- HostKeyChanged      22  a machine is not the one it should be
       |- MachineMissing      23  there is no such machine, or none answers
       |- DatabaseUnreachable 24  the machine can't connect to the database
       `- TokenExpired        25  what we showed is no longer valid
          `- CredentialsExpired  25  ... to AWS; it is an AwsError too

A message reads `error: <what> <object id>: <cause>.`, `state: <what is running now>.` and
`next: <exact command>.`
Exceptions hold fields and build their text in `__str__`; only cli.py prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class SlipwayError(Exception):
    """The base of all of Slipway's errors.

    Attributes:
        what: What failed, with the id of the object: `bake api`.
        cause: Why, in one sentence or a few lines.
        state: What exists or runs now; empty when nothing changed is self-evident from the class.
        next_command: The exact command, or the step, that helps.
    """

    exit_code: ClassVar[int] = 1
    default_state: ClassVar[str] = ""

    def __init__(self, what: str, cause: str, *, state: str = "", next_command: str = "") -> None:
        super().__init__(what, cause)
        self.what = what
        self.cause = cause
        self.state = state or self.default_state
        self.next_command = next_command

    def __str__(self) -> str:
        lines = [f"error: {self.what}: {self.cause.rstrip('.')}."]
        if self.state:
            lines.append(f"state: {self.state.rstrip('.')}.")
        if self.next_command:
            lines.append(f"next: {self.next_command}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """Return the error for `--json`: class, exit code and the fields of the message."""
        return {
            "error": type(self).__name__,
            "exit_code": self.exit_code,
            "what": self.what,
            "cause": self.cause,
            "state": self.state,
            "next": self.next_command,
        }


class ConfigError(SlipwayError):
    """A file of the project is missing or invalid. `problems` holds one `path: message` a line."""

    exit_code = 3
    default_state = "nothing was called"

    def __init__(self, what: str, problems: tuple[str, ...], *, next_command: str = "") -> None:
        super().__init__(what, "\n  ".join(("", *problems)), next_command=next_command)
        self.problems = problems

    def __str__(self) -> str:
        lines = [f"error: {problem}" for problem in self.problems]
        lines.append(f"state: {self.state}.")
        if self.next_command:
            lines.append(f"next: {self.next_command}")
        return "\n".join(lines)


class Refused(SlipwayError):
    """The state is unsafe, a lock is held, or the operator did not confirm."""

    exit_code = 4
    default_state = "nothing changed"


class DriftFound(Refused):
    """What is there is not what the stacks say. `drift` holds it all, for `--json`."""

    def __init__(self, what: str, cause: str, *, drift: Mapping[str, object], next_command: str) -> None:
        super().__init__(what, cause, next_command=next_command)
        self.drift = drift

    def as_dict(self) -> dict[str, object]:
        """Return the error for `--json`, with what was found."""
        return super().as_dict() | dict(self.drift)


class AwsError(SlipwayError):
    """AWS refused or failed a call. Tell cases apart by `code`, never by text."""

    exit_code = 5

    def __init__(  # noqa: PLR0913 - the fields of an AWS error
        self,
        service: str,
        operation: str,
        code: str,
        message: str,
        *,
        request_id: str = "",
        state: str = "",
        next_command: str = "",
    ) -> None:
        cause = f"{code}: {message}" + (f" (request {request_id})" if request_id else "")
        super().__init__(f"{service} {operation}", cause, state=state, next_command=next_command)
        self.service = service
        self.operation = operation
        self.code = code
        self.request_id = request_id


class NotFound(AwsError):
    """The object asked for does not exist."""


class RemoteError(SlipwayError):
    """A program on this or another machine failed. `output` holds its last lines."""

    exit_code = 6

    def __init__(
        self, what: str, *, status: int, output: tuple[str, ...] = (), state: str = "", next_command: str = ""
    ) -> None:
        tail = "".join(f"\n  | {line}" for line in output)
        super().__init__(what, f"exit code {status}{tail}", state=state, next_command=next_command)
        self.status = status
        self.output = output


class BootTestFailed(RemoteError):
    """A fresh machine of a candidate image did not pass. `findings` holds one line or paragraph each."""

    def __init__(
        self, what: str, findings: tuple[str, ...], *, state: str = "", next_command: str = ""
    ) -> None:
        lines = tuple(line for finding in findings for line in finding.splitlines())
        super().__init__(what, status=1, output=lines, state=state, next_command=next_command)
        self.findings = findings
        self.cause = f"{len(findings)} findings" + "".join(f"\n  | {line}" for line in lines)


class RolledBack(SlipwayError):
    """It failed, and the old version is back in service."""

    exit_code = 7


class Stranded(SlipwayError):
    """It failed and could not be taken back."""

    exit_code = 8


class WaitTimeout(SlipwayError):
    """The limit passed; the outcome is unknown."""

    exit_code = 9


class DoorError(SlipwayError):
    """A way to a machine or a database can't be opened, or broke and no further attempt can help."""


class PortBusy(DoorError):
    """The local port is taken."""

    exit_code = 20


class KeyRefused(DoorError):
    """A machine does not let us in."""

    exit_code = 21


class HostKeyChanged(DoorError):
    """A machine shows another host key than the one it published."""

    exit_code = 22


class MachineMissing(DoorError):
    """There is no such machine, or none answers."""

    exit_code = 23


class DatabaseUnreachable(DoorError):
    """The machine in the middle can't connect to the database."""

    exit_code = 24


class TokenExpired(DoorError):
    """What we showed is no longer valid: the session's credentials, or a database token."""

    exit_code = 25


class CredentialsExpired(TokenExpired, AwsError):
    """The session with AWS is over: somebody has to log in again."""
