# SPDX-License-Identifier: Apache-2.0
"""Why ssh failed, from what OpenSSH 9.2 logged on real hops."""

from __future__ import annotations

import pytest

from orchestrator.domain.ssh_failure import (
    failed_at_bastion,
    is_barred,
    ssh_failure,
    was_interrupted,
    was_let_in,
)
from orchestrator.errors import HostKeyChanged, KeyRefused, MachineMissing

LET_IN = 'Authenticated to 127.0.0.1 (via proxy) using "publickey".\n'
STATISTICS = (
    "Transferred: sent 6152, received 4840 bytes, in 0.1 seconds\n"
    "Bytes per second: sent 100642.2, received 79178.9\n"
)
COMMAND_ENDED = """\
debug1: clientloop.c:client_loop():1290 (pid=10917): Entering interactive session.
debug1: clientloop.c:client_loop():1531 (pid=10917): Exit status 255
client_loop: send disconnect: Broken pipe
"""
CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Please contact your system administrator.
Host key for i-1 has changed and you have requested strict checking.
Host key verification failed.
"""
UNKNOWN = """\
No ED25519 host key is known for i-1 and you have requested strict checking.
Host key verification failed.
"""
NO_WAY_ON = (
    "Stdio forwarding request failed: Session open refused by peer\n"
    "kex_exchange_identification: Connection closed by remote host\n"
    "Connection closed by UNKNOWN port 65535\n"
)
BARRED = LET_IN + "channel 2: open failed: administratively prohibited: open failed\n"

FAILURES = {
    "another host key": (CHANGED, HostKeyChanged, "shows another host key"),
    "a host key of a kind nobody knows": (UNKNOWN, HostKeyChanged, "shows another host key"),
    "key refused": (
        "admin@10.0.0.5: Permission denied (publickey,keyboard-interactive).\n",
        KeyRefused,
        "does not let us in: admin@10.0.0.5: Permission denied (publickey,keyboard-interactive).",
    ),
    "too many keys": (
        "Received disconnect from 10.0.0.5 port 22:2: Too many authentication failures\n",
        KeyRefused,
        "Too many authentication failures.",
    ),
    "no forwarding for us": (BARRED, KeyRefused, "administratively prohibited: open failed."),
    "port closed": (
        "ssh: connect to host 127.0.0.1 port 2999: Connection refused\n",
        MachineMissing,
        "does not answer: ssh: connect to host 127.0.0.1 port 2999: Connection refused.",
    ),
    "no route": (
        "ssh: connect to host 10.0.0.5 port 22: No route to host\n",
        MachineMissing,
        "does not answer: ssh: connect to host 10.0.0.5 port 22: No route to host.",
    ),
    "nothing behind the bastion": (NO_WAY_ON, MachineMissing, "does not answer the bastion."),
    "silence": (
        "Connection timed out during banner exchange\nConnection to UNKNOWN port 65535 timed out\n",
        MachineMissing,
        "does not answer: Connection timed out during banner exchange.",
    ),
    "closed at once": (
        "kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by 10.0.0.5 port 22\n",
        MachineMissing,
        "does not answer: kex_exchange_identification: Connection closed by remote host.",
    ),
    "no such name": (
        "ssh: Could not resolve hostname gone.example.com: Name or service not known\n",
        MachineMissing,
        "Could not resolve hostname gone.example.com: Name or service not known.",
    ),
    "lost": (
        LET_IN + "client_loop: send disconnect: Broken pipe\n",
        MachineMissing,
        "the connection was lost: client_loop: send disconnect: Broken pipe.",
    ),
    "a command lost in a black hole": (
        "debug1: clientloop.c:client_loop():1290 (pid=10971): Entering interactive session.\n"
        "clientloop.c:server_alive_check():503 (pid=11036): Timeout, server 10.0.0.5 not responding.\n",
        MachineMissing,
        "the connection was lost: Timeout, server 10.0.0.5 not responding.",
    ),
    "lost in a black hole": (
        LET_IN + "Timeout, server 10.0.0.5 not responding.\n",
        MachineMissing,
        "the connection was lost: Timeout, server 10.0.0.5 not responding.",
    ),
}


class TestFailures:
    @pytest.mark.parametrize(("log", "kind", "said"), FAILURES.values(), ids=FAILURES)
    def test_each_has_a_class_of_its_own(self, log: str, kind: type, said: str) -> None:
        error = ssh_failure(log, machine="i-1", environment="sandbox")
        assert type(error) is kind
        assert str(error).startswith("error: ssh i-1: the ")
        assert said in str(error)

    @pytest.mark.parametrize("log", ["", LET_IN, LET_IN + STATISTICS, COMMAND_ENDED])
    def test_what_a_command_ended_with_is_none(self, log: str) -> None:
        assert ssh_failure(log, machine="i-1", environment="sandbox") is None

    def test_a_changed_key_is_told_with_the_parameter_that_holds_the_right_one(self) -> None:
        error = ssh_failure(CHANGED, machine="i-1", environment="sandbox")
        assert str(error) == (
            "error: ssh i-1: the machine shows another host key than the one that it published when it first "
            "started.\n"
            "state: nothing was sent to it; its own keys are in the parameter "
            "/slipway/sandbox/host-keys/FLEET/i-1.\n"
            "next: do not go on: the address belongs to another machine, or somebody is in between; "
            "terminate the machine if it should be there"
        )

    def test_what_was_begun_on_a_machine_is_told_apart_from_what_was_not(self) -> None:
        states = [
            getattr(ssh_failure(log, machine="i-1", environment="sandbox"), "state", None)
            for log in (NO_WAY_ON, LET_IN + "client_loop: send disconnect: Broken pipe\n")
        ]
        assert states == ["nothing was begun on it", "what was begun on it may go on, or may not"]

    def test_what_a_terminal_would_obey_is_left_out(self) -> None:
        log = "Received disconnect from 10.0.0.5 port 22:2: \x1b[2JToo many authentication failures\n"
        error = ssh_failure(log, machine="i-1", environment="sandbox")
        assert error is not None
        assert error.cause.endswith("port 22:2: [2JToo many authentication failures")


def test_logs_tell_how_far_ssh_came_and_what_ended_it() -> None:
    assert [was_let_in(log) for log in ("", NO_WAY_ON, LET_IN)] == [False, False, True]
    assert [was_interrupted(log) for log in (LET_IN, LET_IN + "Killed by signal 2.\n")] == [False, True]
    assert was_interrupted("clientloop.c:client_loop():1497 (pid=10971): Killed by signal 2.\n") is True
    assert was_interrupted(LET_IN + "Killed by signal 15.\n") is False
    assert was_let_in(COMMAND_ENDED) is True
    assert [failed_at_bastion(log) for log in (LET_IN, NO_WAY_ON)] == [False, True]
    assert [is_barred(log) for log in (LET_IN, BARRED)] == [False, True]
