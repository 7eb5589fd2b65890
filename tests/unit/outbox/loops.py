"""Waiting in tests: for what is ready to run, never for time to pass."""

import asyncio


async def settle_loop() -> None:
    """Let everything that is ready run. Twelve turns are more than any chain of callbacks here has."""
    for _ in range(12):
        await asyncio.sleep(0)
