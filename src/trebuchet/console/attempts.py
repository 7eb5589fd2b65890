"""How often a password may be tried: for each name and for each address, in memory. Pure but for its own table."""

from collections import OrderedDict
from collections.abc import Iterator


class LoginAttempts:
    """Counts wrong passwords by name and by address, and forgets them after `window_ms`.

    At most `keys_max` are remembered; the one longest unused is forgotten first.
    """

    def __init__(
        self,
        *,
        by_name: int = 10,
        by_address: int = 30,
        window_ms: int = 15 * 60_000,
        keys_max: int = 10_000,
    ) -> None:
        self._most = {"name": by_name, "address": by_address}
        self._window_ms = window_ms
        self._keys_max = keys_max
        self._counts: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()  # → tries, first at

    def wait_s(self, name: str, address: str, now_ms: int) -> int:
        """Seconds until this name may be tried again from this address, for `Retry-After`; 0: now."""
        waits = [0]
        for key in _keys(name, address):
            tries, first_ms = self._counts.get(key, (0, 0))
            ends_ms = first_ms + self._window_ms
            if tries >= self._most[key[0]] and now_ms < ends_ms:
                waits.append(-(-(ends_ms - now_ms) // 1000))
        return max(waits)

    def begin(self, name: str, address: str, now_ms: int) -> None:
        """Count a try. It is counted before the password is checked, because checks take long and run side by side."""
        for key in _keys(name, address):
            tries, first_ms = self._counts.pop(key, (0, now_ms))
            if now_ms >= first_ms + self._window_ms:
                tries, first_ms = 0, now_ms
            self._counts[key] = (tries + 1, first_ms)
        while len(self._counts) > self._keys_max:
            self._counts.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The password was right: its name starts afresh, and the address gets this try back."""
        self._counts.pop(("name", name[:64]), None)
        tries, first_ms = self._counts.get(("address", address), (0, 0))
        if tries:
            self._counts["address", address] = (tries - 1, first_ms)


def _keys(name: str, address: str) -> Iterator[tuple[str, str]]:
    yield "name", name[:64]
    yield "address", address
