"""Ports for programs that cannot choose one and say which."""

import random
import socket

# Below those that the system gives to connections, any of which may be taken at any time.
_FIRST, _LAST = 20_000, 32_000


def free_port() -> int:
    """One that nobody listens on, and that no connection will take before the program listens, or listens again."""
    while True:
        port = random.randrange(_FIRST, _LAST)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue


def free_ports(count: int) -> int:
    """The first of as many in a row."""
    while True:
        first = free_port()
        try:
            for port in range(first + 1, first + count):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return first
