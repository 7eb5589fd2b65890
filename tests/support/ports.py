"""Ports for programs that cannot choose one and say which."""

import random
import socket

_FIRST, _LAST = 20_000, 32_000  # below those that the system gives to connections, which may be taken at any time
    20_000,
    32_000,
)  # below those that the system gives to connections: one of these may be taken at any time


def free_port() -> int:
    """One that nobody listens on, and that no connection will take before the program listens, or listens again."""
    while True:
        port = random.randrange(_FIRST, _LAST)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
