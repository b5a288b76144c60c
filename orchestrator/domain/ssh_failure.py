# SPDX-License-Identifier: Apache-2.0
"""Tell why OpenSSH failed from what it logged. It has one exit code, 255, for everything. Pure."""

from __future__ import annotations

import re

from orchestrator.domain.door import host_keys_path
from orchestrator.errors import DoorError, HostKeyChanged, KeyRefused, MachineMissing

_AT_THE_BASTION = re.compile(r"[Ss]tdio forwarding (?:request )?failed")
_BARRED = re.compile(r"open failed: administratively prohibited")
# Once somebody was let in. Before it may stand where in ssh's own code it is said.
_LET_IN = re.compile(r"^Authenticated to |Entering interactive session", re.MULTILINE)
_INTERRUPTED = re.compile(r"(?:^|: )Killed by signal 2\b", re.MULTILINE)
_ORIGIN = re.compile(r"^(?:debug\d: )?\w+\.c:\w+\(\):\d+ \(pid=\d+\): ")
_COMMAND_ENDED = re.compile(r": Exit status -?\d+$", re.MULTILINE)
_OTHER_KEY = re.compile(
    r"REMOTE HOST IDENTIFICATION HAS CHANGED"
    r"|Host key verification failed"
    r"|No \S+ host key is known for"
    r"|no matching host key type found"
    r"|REVOKED HOST KEY"
)
_REFUSED = re.compile(
    r"Permission denied \("
    r"|Too many authentication failures"
    r"|open failed: administratively prohibited"
    r"|No supported authentication methods"
)
_NO_ANSWER = re.compile(
    r"connect to host \S+ port \d+:"
    r"|Could not resolve hostname"
    r"|[Cc]onnection timed out"
    r"|Connection to \S+ port \d+ timed out"
    r"|kex_exchange_identification:"
    r"|banner exchange:"
    r"|Stdio forwarding request failed"
    r"|stdio forwarding failed"
    r"|open failed: connect failed"
    r"|not responding"
    r"|Connection (?:to .* )?(?:closed|reset)"
    r"|client_loop: send disconnect"
    r"|Broken pipe"
)


def was_let_in(log: str) -> bool:
    """Tell whether ssh had a session, so that what ended it came later."""
    return bool(_LET_IN.search(log))


def failed_at_bastion(log: str) -> bool:
    """Tell whether the bastion made no connection to a machine, as a log of the way to that machine says."""
    return bool(_AT_THE_BASTION.search(log))


def is_barred(log: str) -> bool:
    """Tell whether a bastion does not let us go on to machines, as a log of the way to the bastion says."""
    return bool(_BARRED.search(log))


def was_interrupted(log: str) -> bool:
    """Tell whether ssh ended because of Ctrl-C."""
    return bool(_INTERRUPTED.search(log))


def ssh_failure(log: str, *, machine: str, environment: str) -> DoorError | None:
    """Return why ssh failed, or None if nothing in its log says that it did.

    Args:
        log: What ssh said by itself, at the level VERBOSE; nothing that the machine said.
        machine: The instance id of the machine that ssh was to reach.
        environment: Its name.
    """
    what = f"ssh {machine}"
    if _COMMAND_ENDED.search(log):
        return None
    if _OTHER_KEY.search(log):
        return HostKeyChanged(
            what,
            "the machine shows another host key than the one that it published when it first started",
            state="nothing was sent to it; "
            f"its own keys are in the parameter {host_keys_path(environment, 'FLEET')}/{machine}",
            next_command="do not go on: the address belongs to another machine, or somebody is in between; "
            "terminate the machine if it should be there",
        )
    if _REFUSED.search(log):
        return KeyRefused(
            what,
            f"the machine does not let us in: {_said(log, _REFUSED)}",
            state="the certificate was signed; the machine doesn't know its authority yet, "
            "the name is blocked or the user does not exist",
            next_command=f"invoke keys.list --environment {environment}, which tells who is blocked; "
            "a machine that has just started needs a minute",
        )
    if _NO_ANSWER.search(log):
        lost = was_let_in(log)
        return MachineMissing(
            what,
            _silence(log, is_lost=lost),
            state="what was begun on it may go on, or may not" if lost else "nothing was begun on it",
            next_command=f"invoke rollout.status --environment {environment}, which tells if it is healthy; "
            "is your address in the network's ssh_from?",
        )
    return None


def _silence(log: str, *, is_lost: bool) -> str:
    if _AT_THE_BASTION.search(log):
        return "the machine does not answer the bastion"
    begin = "the connection was lost" if is_lost else "the machine does not answer"
    return f"{begin}: {_said(log, _NO_ANSWER)}"


def _said(log: str, pattern: re.Pattern[str]) -> str:
    """Return the first line of a log that tells the failure, without what a terminal would obey."""
    line = next(line for line in log.splitlines() if pattern.search(line))
    said = _ORIGIN.sub("", line)
    return "".join(character for character in said if character.isprintable()).strip().rstrip(".")
