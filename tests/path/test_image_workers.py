"""Image workers as they run: processes of their own, bounded in number, time and memory."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest

from support.pictures import decoded, encoded, photo, png_header
from trebuchet.media import imageworker
from trebuchet.media.images import JPEG, PNG, BadImage, CannotFit, ImageLimit
from trebuchet.media.workers import Busy, ImageWorkers

pytestmark = pytest.mark.anyio

LIMIT = ImageLimit(20_000)
PICTURE = encoded(photo(), "JPEG", quality=95)


@pytest.fixture(scope="module", params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: production runs on uvloop where there is one."""
    return ("asyncio", {"use_uvloop": request.param})


@asynccontextmanager
async def pool(
    *, workers: int = 1, waiting_max: int = 64, timeout_s: float = 20.0, memory_max: int = 1 << 30
) -> AsyncIterator[ImageWorkers]:
    made = ImageWorkers(workers=workers, waiting_max=waiting_max, timeout_s=timeout_s, memory_max=memory_max)
    try:
        yield made
    finally:
        await made.close()


def children() -> set[int]:
    """The image workers that are children of this process."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return {
        int(pid) for pid, parent, args in rows if int(parent) == os.getpid() and imageworker.__name__ in args
    }


async def test_a_picture_is_made_to_fit_elsewhere() -> None:
    """One process serves one picture after the other, and ends with the pool."""
    async with pool() as workers:
        assert children() == set()
        for key in ("a", "b", "c"):
            fitted = await workers.fit(PICTURE, JPEG, LIMIT, key=key)
            assert len(fitted.octets) <= 20_000
            assert decoded(fitted.octets).width > 100
        assert len(children()) == 1
    assert children() == set()


async def test_a_picture_that_fits_needs_no_process() -> None:
    """It is returned as it is."""
    async with pool() as workers:
        fitted = await workers.fit(PICTURE, JPEG, ImageLimit(len(PICTURE)), key="a")
        assert (fitted.octets, fitted.content_type) == (PICTURE, JPEG)
        assert children() == set()


async def test_the_same_picture_for_many_is_worked_on_once() -> None:
    """Told by its key, at once and for a while after; another limit is another work."""
    async with pool() as workers:
        made = await asyncio.gather(*[workers.fit(PICTURE, JPEG, LIMIT, key="a") for _ in range(50)])
        made.append(await workers.fit(PICTURE, JPEG, LIMIT, key="a"))
        assert len({id(fitted) for fitted in made}) == 1
        assert await workers.fit(PICTURE, JPEG, ImageLimit(10_000), key="a") not in made


async def test_what_cannot_be_done_is_told_as_by_the_function() -> None:
    """Bad and unfitting pictures come back as their errors, each caller with one of its own."""
    async with pool() as workers:
        for _ in range(2):
            with pytest.raises(BadImage, match=r"^the picture cannot be decoded"):
                await workers.fit(b"x" * 30_000, JPEG, LIMIT, key="bad")
            with pytest.raises(CannotFit, match=r"^the picture cannot be made to fit 20 octets$"):
                await workers.fit(PICTURE, JPEG, ImageLimit(20), key="small")
        assert len(children()) == 1


async def test_a_worker_that_was_killed_is_replaced() -> None:
    """The next picture does not notice."""
    async with pool() as workers:
        await workers.fit(PICTURE, JPEG, LIMIT, key="a")
        (pid,) = children()
        os.kill(pid, signal.SIGKILL)
        assert (await workers.fit(PICTURE, JPEG, LIMIT, key="b")).octets
        assert children() != {pid}


async def test_a_worker_minds_no_signal_for_the_group() -> None:
    """An interrupt at the terminal, or the stop of a service, reaches it too; the gateway says when to end."""
    async with pool() as workers:
        await workers.fit(PICTURE, JPEG, LIMIT, key="a")
        (pid,) = children()
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        await workers.fit(PICTURE, JPEG, LIMIT, key="b")
        assert children() == {pid}


async def test_a_picture_that_takes_too_long_is_bad() -> None:
    """Its worker is ended, and others go on."""
    octets = encoded(photo().resize((4000, 3000)), "JPEG")
    async with pool(timeout_s=0.01) as workers:
        with pytest.raises(BadImage, match=r"took longer than 0\.01 s"):
            await workers.fit(octets, JPEG, LIMIT, key="a")
        assert children() == set()


async def test_a_picture_that_takes_too_much_memory_is_bad() -> None:
    """Linux gives the worker so much address space and no more: a second wall behind the bound of pixels."""
    octets = encoded(photo(80, 80).resize((4000, 4000)), "PNG", compress_level=1)
    bounded = sys.platform == "linux"
    async with pool(memory_max=96 << 20) as workers:
        with pytest.raises(BadImage, match="MemoryError") if bounded else nullcontext():
            await workers.fit(octets, PNG, ImageLimit(2_000), key="a")
        assert (await workers.fit(PICTURE, JPEG, LIMIT, key="b")).octets


async def test_a_bomb_is_refused_there() -> None:
    """By its header."""
    async with pool() as workers:
        with pytest.raises(BadImage, match=r"2500000000 pixels|cannot be decoded: DecompressionBomb"):
            await workers.fit(png_header(50_000, 50_000) + bytes(30_000), PNG, LIMIT, key="a")


async def test_pictures_beyond_the_bound_are_not_taken() -> None:
    """One is worked on, two wait, the fourth is refused for now; later it is taken."""
    async with pool(waiting_max=2) as workers:
        outcomes = await asyncio.gather(
            *[workers.fit(PICTURE, JPEG, LIMIT, key=str(number)) for number in range(4)],
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes].count(Busy) == 1
        assert (await workers.fit(PICTURE, JPEG, LIMIT, key="again")).octets


async def test_a_worker_that_cannot_start_is_no_fault_of_the_picture() -> None:
    """Here for a bound that the system does not take: the picture may be fitted later."""
    async with pool(memory_max=1 << 70) as workers:
        with pytest.raises(Busy, match="while it started"):
            await workers.fit(PICTURE, JPEG, LIMIT, key="a")


async def test_closing_gives_up_what_is_under_way() -> None:
    """Callers are told that it is not the picture; afterwards nothing is taken."""
    async with pool() as workers:
        waiting = asyncio.create_task(workers.fit(PICTURE, JPEG, LIMIT, key="a"))
        await asyncio.sleep(0)
        await workers.close()
        await workers.close()
        with pytest.raises(Busy, match="have ended"):
            await waiting
        with pytest.raises(Busy, match="have ended"):
            await workers.fit(PICTURE, JPEG, LIMIT, key="b")
    assert children() == set()


def test_a_worker_ends_with_its_input() -> None:
    """So none outlives a gateway that was killed."""
    command = [sys.executable, "-P", "-m", imageworker.__name__, str(1 << 30)]
    done = subprocess.run(command, input=b"\0\0", capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, bytes(4), b"")


def test_the_gateway_does_not_import_pillow(tmp_path: Path) -> None:
    """Neither with the module of the workers nor with the whole of the application."""
    script = "import sys, trebuchet.app, trebuchet.media.workers; print('PIL' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "False\n", done.stderr
