"""Reaching the SMSC: its addresses in turn, in bounded time; and how long to wait before the next try."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network

from trebuchet.carriers.smpp.connection import Connection, Ended
from trebuchet.carriers.smpp.settings import SmppSettings

_STEPS_S = (1, 2, 5, 10, 30, 60)  # between tries to connect, within the settings' bounds
_JITTER = 0.2
_AFTER_UNBIND_S = 5  # a peer that unbinds wants to be left alone for a moment


class Unreachable(Exception):
    """There is no connection; the message says why."""


async def dial(
    settings: SmppSettings, tls: ssl.SSLContext | None, make: Callable[[], Connection]
) -> Connection:
    """Connect within `connect_timeout_s`. `make` is called for each try. Raises Unreachable."""
    where = f"{settings.host}:{settings.port}"
    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            return await _dial_each(settings, tls, make)
    except TimeoutError:
        raise Unreachable(f"no connection to {where} within {settings.connect_timeout_s} s") from None
    except OSError as error:  # refused, unreachable, unknown name, TLS
        raise Unreachable(f"cannot connect to {where}: {error}") from None
    except Exception as error:  # a fault of ours must not end the tries
        raise Unreachable(f"cannot connect to {where}: {error!r}") from error


async def _dial_each(
    settings: SmppSettings, tls: ssl.SSLContext | None, make: Callable[[], Connection]
) -> Connection:
    """Try the host's addresses in turn. Raises the last failure."""
    loop = asyncio.get_running_loop()
    tls_name = (settings.tls_server_name or settings.host) if tls else None
    found = await loop.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    failure = OSError("the name has no address")
    for address in addresses:
        try:
            async with asyncio.timeout(settings.connect_timeout_s / len(addresses)):
                _, connection = await loop.create_connection(
                    make, address, settings.port, ssl=tls, server_hostname=tls_name
                )
                return connection
        except OSError as error:  # TimeoutError is one
            failure = error
    raise failure


def pause_ms(settings: SmppSettings, ended: Ended, failures: int, chance: float) -> int:
    """How long to wait before the next try. `failures` before this one in a row, `chance` from 0 to 1. Pure."""
    if ended.refused:
        base_s = float(settings.refused_bind_pause_s)
    else:
        step = _STEPS_S[min(failures, len(_STEPS_S) - 1)]
        base_s = min(max(step, settings.reconnect_min_s), settings.reconnect_max_s)
        if ended.by_peer:
            base_s = max(base_s, _AFTER_UNBIND_S)
    return int(base_s * 1000 * (1 + _JITTER * (2 * chance - 1)))


def outbind_allowed(peer: object, allowed: Sequence[str]) -> bool:
    """Whether the other end of a connection (a socket address) may call us: only who is named. Pure."""
    try:
        address = ip_address(peer[0]) if isinstance(peer, tuple) else None
    except ValueError:
        return False
    return address is not None and any(address in ip_network(network) for network in allowed)
