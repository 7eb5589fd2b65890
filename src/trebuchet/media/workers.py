"""Pictures made to fit in processes of their own.

Threads would do for the CPU, but a picture that eats memory, time or the decoder itself can only be stopped
with its process. A worker costs 0.1 s to start and 40 MB to keep.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from functools import partial

from trebuchet.errors import TrebuchetError
from trebuchet.media.burst import Burst, Closed
from trebuchet.media.imagejobs import HEADER, Job, frame, picture_of
from trebuchet.media.images import BadImage, CannotFit, Fitted, ImageLimit, fits

_PROGRAM = "trebuchet.media.imageworker"
# What a worker may need to start on a busy machine.
_START_TIMEOUT_S = 30.0


class Busy(TrebuchetError):
    """No worker can take the picture now; later one may."""


class ImageWorkers:
    """A bounded pool. Nothing is started before the first picture that does not fit, and Pillow never imported.

    - At most `workers` pictures are worked on and `waiting_max` wait.
    - A picture may take `timeout_s` and its worker `memory_max` octets of address space.
    - What was made of a picture is kept for `keep_s` within `kept_octets_max`, failures included.

    Must be made and used within one running event loop.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        waiting_max: int = 64,
        timeout_s: float = 20.0,
        memory_max: int = 1 << 30,
        keep_s: float = 60.0,
        kept_octets_max: int = 16 << 20,
    ) -> None:
        self._timeout_s = timeout_s
        self._memory_max = memory_max
        self._jobs_max = workers + waiting_max
        self._jobs = 0
        self._turns = asyncio.Semaphore(workers)
        self._idle: list[Process] = []
        self._running: set[Process] = set()
        self._closed = False
        self._burst: Burst[Fitted | CannotFit | BadImage] = Burst(
            weigh=lambda outcome: len(outcome.octets) if isinstance(outcome, Fitted) else 0,
            keep_s=lambda _: keep_s,
            octets_max=kept_octets_max,
            now_s=asyncio.get_running_loop().time,
        )

    async def fit(self, octets: bytes, content_type: str, limit: ImageLimit, *, key: str) -> Fitted:
        """As `redraw.fit`: the picture within `limit`. Raises CannotFit, BadImage, or Busy.

        `key` names the octets, like their digest: the same key and limit are worked on once. A picture that
        fits is returned at once.
        """
        if fits(octets, content_type, limit):
            return Fitted(octets, content_type)
        if self._closed:
            raise Busy("the image workers have ended")
        job = Job(octets, content_type, limit)
        try:
            outcome = await self._burst.get((key, content_type, limit), partial(self._take_turn, job))
        except Closed:
            raise Busy("the image workers have ended") from None
        if isinstance(outcome, Fitted):
            return outcome
        raise type(outcome)(*outcome.args)  # of each caller's own, because raising writes into it

    async def close(self) -> None:
        """End the processes; pictures under way are given up. May be called twice."""
        self._closed = True
        await self._burst.close()
        for process in list(self._running):
            await self._end(process)

    async def _take_turn(self, job: Job) -> Fitted | CannotFit | BadImage:
        if self._jobs >= self._jobs_max:
            raise Busy(f"{self._jobs} pictures wait to be made to fit")
        self._jobs += 1
        try:
            async with self._turns:
                return await self._hand_over(frame(job))
        except (CannotFit, BadImage) as outcome:
            return outcome.with_traceback(None)
        finally:
            self._jobs -= 1

    async def _hand_over(self, job: bytes) -> Fitted:
        """Give the job to an idle worker, or to a new one when none is left or this one is gone."""
        while self._idle:
            process = self._idle.pop()
            try:
                return picture_of(await self._ask(process, job))
            except (EOFError, ConnectionError):
                continue
        process = await self._start()
        try:
            return picture_of(await self._ask(process, job))
        except (EOFError, ConnectionError):
            raise BadImage("the picture ended the process that decoded it") from None

    async def _ask(self, process: Process, job: bytes) -> bytes:
        """The body of the worker's answer; then the worker is idle. If there is none, the worker is ended.

        Raises EOFError or ConnectionError when the worker ends, BadImage when it takes too long.
        """
        assert process.stdin is not None
        answered = False
        try:
            async with asyncio.timeout(self._timeout_s):
                if process.returncode is not None or process.stdin.is_closing():
                    raise ConnectionResetError
                process.stdin.write(job)
                await process.stdin.drain()
                body = await _read_frame(process)
            answered = True
        except TimeoutError:
            raise BadImage(f"the picture took longer than {self._timeout_s:g} s") from None
        finally:
            if not answered:
                await self._end(process)
        self._idle.append(process)
        return body

    async def _start(self) -> Process:
        # Without -P the working directory would come first where modules are looked for.
        command = (sys.executable, "-P", "-m", _PROGRAM, str(self._memory_max))
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        except OSError as error:
            raise Busy(f"an image worker cannot be started: {error.strerror}") from None
        self._running.add(process)
        ready = False
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                ready = await _read_frame(process) == b""
        except (TimeoutError, EOFError, ConnectionError):
            raise Busy("an image worker ended while it started") from None
        finally:
            if not ready:
                await self._end(process)
        return process

    async def _end(self, process: Process) -> None:
        self._running.discard(process)
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _read_frame(process: Process) -> bytes:
    """The body of the next frame. Raises EOFError when there is none."""
    assert process.stdout is not None
    header = await process.stdout.readexactly(HEADER)
    return await process.stdout.readexactly(int.from_bytes(header, "big"))
