"""From host name to addresses: one lookup at a time per host, kept for a few seconds."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from trebuchet.webclient.addresses import IPAddress, literal
from trebuchet.webclient.errors import ResolveFailed

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""Host name to numeric addresses, best first. Raises OSError when there are none."""

# A lookup at a dead name server holds its thread for tens of seconds. Hosts that do so must not stop the
# lookups of the others: four threads, as event loops share out, would be used up by four such hosts.
_LOOKUPS_MAX = 32
_HOSTS_MAX = 1024
# More addresses than this cannot be tried within a usual time-out.
_ADDRESSES_MAX = 8


async def system_resolver(host: str) -> Sequence[str]:
    """Ask the operating system. Reads odd notations (`127.1`, `0x7f.1`) the way it would dial them.

    The threads are daemons of our own, because those of an executor are joined when the process exits,
    and a hanging lookup would then hold up the stop.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Sequence[str]] = loop.create_future()

    def settle(addresses: Sequence[str], error: OSError | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def look_up() -> None:
        addresses: list[str] = []
        error: OSError | None = None
        try:
            # As octets, because text would pass through the codec for international names once more.
            rows = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
            addresses = [str(sockaddr[0]) for *_, sockaddr in rows]
        except OSError as failure:
            error = failure
        try:
            loop.call_soon_threadsafe(settle, addresses, error)
        except RuntimeError:
            return  # The loop has closed meanwhile: nobody waits for the outcome.

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    return await found


def interleave(addresses: Sequence[IPAddress]) -> list[IPAddress]:
    """The same addresses, once each, families by turns (RFC 8305 section 4), the first one's family first.

    So a host whose IPv6 is broken costs one short wait, whatever the number of its IPv6 addresses.
    """
    unique = list(dict.fromkeys(addresses))
    if not unique:
        return []
    first = [ip for ip in unique if ip.version == unique[0].version]
    other = [ip for ip in unique if ip.version != unique[0].version]
    both = min(len(first), len(other))
    mixed = [ip for pair in zip(first, other, strict=False) for ip in pair]
    return mixed + first[both:] + other[both:]


class _Lookup:
    """A lookup under way or done. Its task gives the addresses, or why there are none."""

    __slots__ = ("task", "until_s")

    def __init__(self, task: asyncio.Task[list[IPAddress] | str]) -> None:
        self.task = task
        self.until_s: float | None = None


class CachedResolver:
    """Resolves each host at most once per `keep_s` seconds, failures included, and never twice at a time."""

    def __init__(self, resolver: Resolver, keep_s: float) -> None:
        self._resolver = resolver
        self._keep_s = keep_s
        self._lookups: dict[str, _Lookup] = {}
        self._turns = asyncio.Semaphore(_LOOKUPS_MAX)

    async def addresses(self, host: str) -> list[IPAddress]:
        """At least one address, at most eight, in the order to try them. Raises ResolveFailed."""
        address = literal(host)
        if address is not None:
            return [address]
        now_s = asyncio.get_running_loop().time()
        lookup = self._lookups.get(host)
        if lookup is None or (lookup.until_s is not None and lookup.until_s <= now_s):
            self._make_room()
            lookup = _Lookup(asyncio.create_task(self._look_up(host)))
            self._lookups[host] = lookup
            lookup.task.add_done_callback(lambda _: self._done(lookup))
        # Not awaited directly: one caller's time-out must not end the lookup that others wait for.
        await asyncio.wait((lookup.task,))
        if lookup.task.cancelled():
            raise ResolveFailed("the HTTP client is closed")
        outcome = lookup.task.result()
        if isinstance(outcome, str):
            raise ResolveFailed(outcome)
        return outcome

    def close(self) -> None:
        """End all lookups. Callers that wait for one get ResolveFailed."""
        for lookup in self._lookups.values():
            lookup.task.cancel()
        self._lookups.clear()

    async def _look_up(self, host: str) -> list[IPAddress] | str:
        async with self._turns:
            try:
                found = await self._resolver(host)
            except OSError as error:
                return f"cannot resolve {host}: {error.strerror or error}"
        addresses = interleave([ip_address(text) for text in found])[:_ADDRESSES_MAX]
        return addresses or f"cannot resolve {host}: it has no address"

    def _done(self, lookup: _Lookup) -> None:
        lookup.until_s = lookup.task.get_loop().time() + self._keep_s

    def _make_room(self) -> None:
        if len(self._lookups) < _HOSTS_MAX:
            return
        done = [
            (lookup.until_s, host) for host, lookup in self._lookups.items() if lookup.until_s is not None
        ]
        for _, host in sorted(done)[: _HOSTS_MAX // 2]:
            del self._lookups[host]
