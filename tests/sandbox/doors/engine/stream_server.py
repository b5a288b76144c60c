# SPDX-License-Identifier: Apache-2.0
"""A server of raw streams. It runs by its text, with the system's Python, far from this checkout.

A connection begins with a line:
  echo                     what comes goes back, each direction to its own end
  source BYTES             so many zero bytes, then the end
  sink                     takes everything, then answers with the count
  talk SEED BYTES WHO      the stream of a seed, ended by a half-close: before (`server`), after (`client`) or
                           while (`both`) the client's is read to its end; then the connection is closed
  digest SEED              the digest and size of what the client of that talk has sent
  hello                    an answer of one line, and the end
"""

import contextlib
import hashlib
import random
import socket
import sys
import threading
import time

CHUNK = 1 << 16
digests: dict[str, str] = {}


def stream_of(seed: int, size: int, pauses: int = 3):
    """Yield a stream's pieces, of random sizes, with a few short pauses."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    sent = 0
    while sent < size:
        piece = chance.randbytes(min(size - sent, chance.choice((1, 100, 5000, CHUNK))))
        sent += len(piece)
        yield piece
        if pauses and random.random() < 0.1:  # noqa: S311 - as above
            pauses -= 1
            time.sleep(random.random() * 0.05)  # noqa: S311 - as above


def digest_of(pieces) -> tuple[str, int]:
    """Return digest and size."""
    seen, size = hashlib.sha256(), 0
    for piece in pieces:
        seen.update(piece)
        size += len(piece)
    return seen.hexdigest(), size


def read_all(channel) -> tuple[str, int]:
    """Read to the end; return digest and size."""
    return digest_of(iter(lambda: channel.recv(CHUNK), b""))


def send_all(channel, seed: int, size: int) -> None:
    """Send the seed's stream and end this direction."""
    for piece in stream_of(seed, size):
        channel.sendall(piece)
    channel.shutdown(socket.SHUT_WR)


def talk(channel, seed: str, size: str, who: str) -> None:
    """Exchange streams."""
    sending = threading.Thread(target=send_all, args=(channel, int(seed), int(size)))
    if who != "client":
        sending.start()
    if who == "server":
        sending.join()
    digests[seed] = "{} {}".format(*read_all(channel))
    if who == "client":
        sending.start()
    sending.join()


def echo(channel) -> None:
    """Give back what comes, to its end."""
    while data := channel.recv(CHUNK):
        channel.sendall(data)


def source(channel, size: str) -> None:
    """Send zero bytes."""
    left, block = int(size), bytes(1 << 20)
    while left:
        left -= channel.send(block[:left])


def sink(channel) -> None:
    """Take everything, and tell how much it was."""
    size, buffer = 0, bytearray(1 << 20)
    while got := channel.recv_into(buffer):
        size += got
    channel.sendall(b"%d\n" % size)


def digest(channel, seed: str) -> None:
    """Tell what a talk's client has sent."""
    channel.sendall(digests.get(seed, "none").encode())


def hello(channel) -> None:
    """Answer."""
    channel.sendall(b"hello\n")


ORDERS = {each.__name__: each for each in (echo, source, sink, talk, digest, hello)}


def attend(channel) -> None:
    """Serve one connection."""
    with channel, contextlib.suppress(OSError):
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = b""
        while not line.endswith(b"\n"):
            got = channel.recv(1)
            if not got:
                return
            line += got
        order, *rest = line.decode().split()
        ORDERS[order](channel, *rest)


def main() -> None:
    """Serve until killed."""
    with socket.create_server(("", int(sys.argv[1])), backlog=1024) as listener:
        while True:
            channel, _ = listener.accept()
            threading.Thread(target=attend, args=(channel,), daemon=True).start()


if __name__ == "__main__":
    main()
