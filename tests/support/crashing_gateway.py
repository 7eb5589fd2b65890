"""A gateway that kills itself at one exact arrow of the path: SIGKILL before or after a commit.

    python tests/support/crashing_gateway.py DATA CALLBACK_URL CHANGE before|after COUNT

It dies at the COUNTth batch that holds a change of the named kind: just before the batch is written, or just
after its commit and before anybody is told of it.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))  # its own folder would hide a module of Python's

from support.databases import database_of
from trebuchet.app import Gateway, Options
from trebuchet.process import serve_until_stopped
from trebuchet.settings import Secret, ServerSettings, Settings, SimulatorSettings, StorageSettings
from trebuchet.storage import open_store
from trebuchet.storage.base import Store, Write


class CrashingStore:
    """A real store, and a SIGKILL."""

    def __init__(self, store: Store, change: str, moment: str, count: int) -> None:
        self._store = store
        self._change = change
        self._moment = moment
        self._left = count
        self.parallel_writes = store.parallel_writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, changes: Sequence[Write], done: Callable[[Sequence[Any]], None]) -> None:
        if any(type(change).__name__ == self._change for change in changes):
            self._left -= 1
            if self._left == 0:
                if self._moment == "before":
                    die()
                self._store.write(changes, lambda _: die())
                return
        self._store.write(changes, done)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crashing(change: str, moment: str, count: int, url: str, data_dir: Path, **more: Any) -> Store:
    store: Any = CrashingStore(open_store(url, data_dir, **more), change, moment, count)
    return store  # type: ignore[no-any-return]  # it delegates what it does not define


def main() -> None:
    data, callback_url, change, moment, count = sys.argv[1:]
    settings = Settings(
        server=ServerSettings(port=0),
        storage=StorageSettings(database=Secret(asyncio.run(database_of(Path(data))))),
        simulator=SimulatorSettings(delay_min_ms=5, delay_max_ms=30),
    )
    gateway = Gateway(
        settings,
        Options(data_dir=Path(data), demo=True, callback_url=callback_url),
        open_store=partial(crashing, change, moment, int(count)),
    )
    asyncio.run(serve_until_stopped(gateway, lambda _: None))


if __name__ == "__main__":
    main()
