"""The gateway as a process: its event loop, its signals, and the file by which others find it."""

import asyncio
import errno
import fcntl
import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from trebuchet import __version__, workers
from trebuchet.app import Gateway, Options, Ready
from trebuchet.kept import write_private
from trebuchet.settings import Settings


def serve(
    settings: Settings,
    *,
    data_dir: Path,
    demo: bool,
    callback_url: str | None,
    announce: Callable[[Ready], None],
    sources: Mapping[str, str] | None = None,
) -> int:
    """Run until SIGTERM or SIGINT; a second one ends the process at once. Returns the exit status. Blocks."""
    options = Options(data_dir=data_dir, demo=demo, callback_url=callback_url, sources=sources or {})
    count = settings.nodes.workers
    # What was imported lives for ever, and messages hardly ever form cycles: looking for them seldom halves
    # the longest waits.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    if count == 1:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(serve_until_stopped(Gateway(settings, options), announce))

    def work(number: int, ready: Callable[[], None]) -> int:
        def first_announces(told: Ready) -> None:
            if number == 0:
                announce(told)
            ready()

        gateway = Gateway(settings, msgspec.structs.replace(options, worker=number))
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve_until_stopped(gateway, first_announces))

    with sole_owner(data_dir):
        return workers.run(count, work)


async def serve_until_stopped(gateway: Gateway, announce: Callable[[Ready], None]) -> int:
    """Start a gateway, write `DATA/gateway.json` for those who look for it, stop it when told by a signal.

    Raises StorageUnavailable, and OSError, also when another gateway has the data folder.
    """
    with sole_owner(gateway.options.data_dir):
        return await _serve_until_stopped(gateway, announce)


async def _serve_until_stopped(gateway: Gateway, announce: Callable[[Ready], None]) -> int:
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            os._exit(130)  # asked twice: at once, which the store survives like a crash
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    ready = await gateway.start()
    running = gateway.options.data_dir / "gateway.json"
    first = not gateway.options.worker
    if first:
        pid = os.getpid() if gateway.options.worker is None else os.getppid()
        write_private(running, msgspec.json.encode({"pid": pid, "url": ready.base_url}))
    announce(ready)
    gateway.telemetry.note("gateway_started", url=ready.base_url, version=__version__)
    await stopping.wait()
    gateway.telemetry.note("gateway_stopping")
    if first:
        running.unlink(missing_ok=True)
    await gateway.stop()
    return 0


@contextmanager
def sole_owner(data_dir: Path) -> Iterator[None]:
    """Keep other gateways off the folder: two that own every lane would submit everything twice.

    The lock ends with the process, however that ends.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(data_dir / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OSError(
            errno.EBUSY,
            f"another gateway has the folder {data_dir}; stop it, or name another folder with --data",
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415  # not there on every platform
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
