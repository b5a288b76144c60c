# SPDX-License-Identifier: Apache-2.0
"""Ask a machine's init whether it is alive: the one process that no firewall and no service stands before."""

from __future__ import annotations

import socket

_PRIVATE_BUS = "/proc/{pid}/root/run/systemd/private"
_HELLO = b"\0AUTH EXTERNAL 30\r\n"
_PATIENCE_S = 1.0


def answers(pid: int) -> bool:
    """Return whether the systemd whose host pid is `pid` does anything at all about a caller in a second.

    It turns away one from another PID namespace, as this one is. To be turned away takes a living init: from
    a frozen one there comes nothing, and before systemd is up there is no socket.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(_PATIENCE_S)
        try:
            channel.connect(_PRIVATE_BUS.format(pid=pid))
            channel.sendall(_HELLO)
            channel.recv(1)
        except (ConnectionResetError, BrokenPipeError):
            return True
        except OSError:
            return False
    return True
