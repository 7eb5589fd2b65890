"""What every test shares: the event loop of production, and Hypothesis without a stopwatch."""

import pytest
from hypothesis import settings

# A busy machine must not fail a property. The parent is whichever profile is active: Hypothesis picks a
# repeatable one itself when the variable CI is set.
settings.register_profile("trebuchet", parent=settings(), deadline=None)
settings.load_profile("trebuchet")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Async tests run on asyncio with uvloop, as the gateway does."""
    return ("asyncio", {"use_uvloop": True})
