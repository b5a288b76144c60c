# SPDX-License-Identifier: Apache-2.0
"""What went wrong on the way, in one place: exceptions of the SSH library in, errors of doors out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncssh

from orchestrator.errors import DatabaseUnreachable, DoorError, HostKeyChanged, KeyRefused, MachineMissing
from orchestrator.ports.doors import Hop, Route

_LOOK_AGAIN = "try again; a machine that has just started takes a minute to know who may come in"
_ALARM = "find out why before anything else: somebody may sit in between, or the machine was set up anew"
_LOOK_AT_DATABASE = "see whether the database runs, and lets that machine in"

# All that an attempt to get through a hop may end with.
HOP_FAILURES = (OSError, TimeoutError, asyncssh.Error, asyncio.IncompleteReadError)


def hop_failure(hop: Hop, exc: BaseException, *, shown: asyncssh.SSHKey | None = None) -> DoorError:
    """Return what an exception means that came on the way to a hop, or into it.

    Args:
        shown: The host key that the machine showed and that it should not have.
    """
    what = f"ssh {hop.user}@{hop.name}"
    match exc:
        case DoorError():
            return exc
        case asyncssh.HostKeyNotVerifiable() if shown is not None:
            return HostKeyChanged(
                what,
                f"it shows {shown.get_fingerprint()}, but has published {_fingerprints(hop)}",
                state="nothing was sent to it",
                next_command=_ALARM,
            )
        case asyncssh.PermissionDenied():
            return KeyRefused(what, f"it does not let us in: {reason(exc)}", next_command=_LOOK_AGAIN)
        case asyncssh.ChannelOpenError() if exc.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return KeyRefused(what, "the machine before it does not let us go on to it")
    return MachineMissing(what, f"{hop.address} port {hop.port} does not answer: {reason(exc)}")


def target_failure(route: Route, exc: BaseException) -> DoorError:
    """Return what an exception means that came when the last hop was asked to connect to the target."""
    hop, (host, port) = route.hops[-1], route.target
    if isinstance(exc, asyncssh.ChannelOpenError) and exc.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        why = f"the door through {hop.name} is not for this endpoint"
    else:
        why = f"{hop.name} can't connect to it: {reason(exc)}"
    return DatabaseUnreachable(
        f"connect to {host}:{port}",
        why,
        state="the machines on the way do answer",
        next_command=_LOOK_AT_DATABASE,
    )


def _fingerprints(hop: Hop) -> str:
    return " and ".join(asyncssh.import_public_key(line).get_fingerprint() for line in hop.host_keys)


def reason(exc: BaseException) -> str:
    """Return why, in few words: the innermost message that says anything."""
    said = [text for one in _chain(exc) if (text := _text(one))]
    return said[-1] if said else type(exc).__name__


def _chain(exc: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = exc
    while current is not None:
        yield current
        current = current.__cause__


def _text(exc: BaseException) -> str:
    if isinstance(exc, TimeoutError):
        return str(exc) or "no answer in time"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc)
