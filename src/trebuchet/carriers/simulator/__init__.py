"""The simulated carrier: `link` is the smallest real link, and the one to copy for another kind."""

from trebuchet.carriers.simulator.link import SimulatorLink, build
from trebuchet.carriers.simulator.settings import SimulatorSettings, parse_settings

__all__ = ["SimulatorLink", "SimulatorSettings", "build", "parse_settings"]
