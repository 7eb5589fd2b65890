"""A listening MMSC in front of the simulated network, for anybody's MM4 relay and anybody's MM7 application.

Its peer is one more way into the network, a `Port` like an in-process link: the same scenarios, triggers, handsets
and clock. What the peer's messages come to is in `mmsc_account`, which knows no protocol; MM4 is `mmsc_mm4`, MM7
`mmsc_mm7`. The seam between them is `mmsc_base`.
"""

import random
from collections.abc import Callable

from trebuchet.clock import Clock, Ids
from trebuchet.simulator.mmsc_account import Account
from trebuchet.simulator.mmsc_base import Counts
from trebuchet.simulator.mmsc_files import Files
from trebuchet.simulator.mmsc_mm4 import Mm4Relay
from trebuchet.simulator.mmsc_mm7 import Mm7Relay
from trebuchet.simulator.mmsc_settings import MmscSettings
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.telemetry import Telemetry

__all__ = ["Counts", "Mmsc"]


class Mmsc:
    """Listens from `start` to `stop`; each once. All calls in one event loop.

    `files` keeps the pictures that handsets show. `changed` is told why the peer does not take what it is told, and
    with an empty text that it does again. Raises ValueError for a certificate that is wrong.
    """

    def __init__(
        self,
        settings: MmscSettings,
        *,
        network: SimulatedNetwork,
        clock: Clock,
        chance: random.Random,
        files: Files,
        changed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.counts = Counts()
        self._network = network
        ids = Ids(chance.randbytes)
        self._account = Account(
            settings.peer_domain, network=network, clock=clock, ids=ids, files=files, counts=self.counts
        )
        self._relay = Mm4Relay(
            settings,
            self._account,
            clock=clock,
            ids=ids,
            chance=chance,
            counts=self.counts,
            changed=changed,
            telemetry=Telemetry(),
        )
        self._account.relay = self._relay
        self.mm7_port = -1  # where VASPs post, once it has started; -1: nowhere
        self._vasp = Account(
            f"{settings.domain}/mm7", network=network, clock=clock, ids=ids, files=files, counts=self.counts
        )
        self._vasp_relay: Mm7Relay | None = None
        if settings.mm7_port >= 0:
            self._vasp_relay = self._vasp.relay = Mm7Relay(
                settings,
                self._vasp,
                clock=clock,
                ids=ids,
                chance=chance,
                counts=self.counts,
                changed=changed,
            )

    async def start(self) -> int:
        """Listen. Returns the port for mail. Raises OSError if one is taken, ValueError for a wrong certificate."""
        port = await self._relay.start()
        if self._vasp_relay is not None:
            self.mm7_port = await self._vasp_relay.start()
        # What handsets type goes to whoever was attached first.
        accounts = [self._account, *([self._vasp] if self._vasp_relay is not None else [])]
        for account in sorted(
            accounts, key=lambda each: each is self._account and not self.settings.peer_port
        ):
            self._network.attach(account)
        return port

    async def stop(self) -> None:
        """Close everything. May be called twice."""
        self._network.detach(self._account)
        await self._relay.stop()
        if self._vasp_relay is not None:
            self._network.detach(self._vasp)
            await self._vasp_relay.stop()

    @property
    def connections(self) -> int:
        """How many the peer has open."""
        return self._relay.connections

    def cut(self) -> None:
        """Break every connection, as a power cut would."""
        self._relay.cut()

    def hold_answers(self) -> None:
        """Take forwards and do not answer them, until `answer_again`. Reports go out all the same."""
        self._relay.answering = False

    def answer_again(self) -> None:
        """Answer what was held back, and everything that follows."""
        self._relay.answer_held()
