"""Several processes of one gateway on one host: forked, told to stop together, and begun again when one ends.

They share the port, and the kernel spreads connections over them. Each is a node of its own to the others.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Final, NoReturn

_AGAIN_S: Final = 1.0  # between the end of a worker and the next one in its place

Work = Callable[[int, Callable[[], None]], int]
"""A worker: given its number, and what to call when it is ready; returns its exit status."""


def run(count: int, work: Work) -> int:
    """Run workers until told to stop by SIGTERM or SIGINT. Returns the exit status. Blocks.

    The first one is ready before the others begin; if it ends before that, so does everything. No thread and no event
    loop may run yet.
    """
    crew = _Crew(work)
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, crew.stop)
    if not crew.start(0).ready():
        return crew.wait()
    for number in range(1, count):
        crew.start(number)
    return crew.wait(again=True)


class _Crew:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._workers: dict[int, int] = {}  # process id → number
        self._stopping = False

    def stop(self, _signal: int, _frame: object) -> None:
        self._stopping = True
        for pid in list(self._workers):
            os.kill(pid, signal.SIGTERM)

    def start(self, number: int) -> "_Pipe":
        """Fork a worker, unless they are to stop. The pipe says when it is ready."""
        pipe = _Pipe()
        if self._stopping:
            pipe.close()
            return pipe
        pid = os.fork()
        if pid == 0:
            _work(number, self._work, pipe)
        pipe.close()
        self._workers[pid] = number
        return pipe

    def wait(self, *, again: bool = False) -> int:
        """Until all have ended. `again`: another one is started for each that ends by itself."""
        status = 0
        while self._workers:
            pid, ended = os.wait()
            number = self._workers.pop(pid)
            code = os.waitstatus_to_exitcode(ended)
            if self._stopping or not again:
                status = status or code
                continue
            sys.stderr.write(f"worker {number} ended with status {code}; starting another one\n")
            time.sleep(_AGAIN_S)
            self.start(number)
        return status


class _Pipe:
    """From a worker to whoever forked it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def close(self) -> None:
        """The side of the worker."""
        os.close(self._writing)

    def tell(self) -> None:
        os.write(self._writing, b"1")

    def ready(self) -> bool:
        """Whether the worker became ready; waits until it does or ends."""
        return bool(os.read(self._reading, 1))


def _work(number: int, work: Work, pipe: _Pipe) -> NoReturn:
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, signal.SIG_DFL)
    status = 1
    try:
        status = work(number, pipe.tell)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
