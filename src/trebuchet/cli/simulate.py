"""`trebuchet simulate`: the other side of the carrier protocols, as a process of its own."""

import asyncio
import json
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trebuchet.cli.outcome import Code, CommandError

if TYPE_CHECKING:
    from trebuchet.clock import Clock
    from trebuchet.simulator.network import SimulatedNetwork
    from trebuchet.simulator.smsc import Smsc
    from trebuchet.simulator.smsc_settings import SmscSettings

_STATUS_EVERY_S = 1.0


def register(tree: typer.Typer) -> None:
    """Add `simulate` to the command tree."""
    group = typer.Typer(help="Pretend to be a carrier, for somebody's client.", no_args_is_help=True)
    group.command("smsc")(smsc)
    group.callback()(_group)
    tree.add_typer(group, name="simulate")


def _group() -> None:
    """Pretend to be a carrier, for somebody's client."""


def smsc(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any.")] = 2775,
    account: Annotated[
        list[str] | None,
        typer.Option(metavar="ID:PASSWORD", help="Who may bind; repeatable. Without, anybody may."),
    ] = None,
    version: Annotated[str, typer.Option(help="3.3, 3.4 or 5.0.")] = "3.4",
    window: Annotated[int, typer.Option(help="Submits without an answer; beyond it, throttled.")] = 1000,
    rate: Annotated[float, typer.Option(help="Segments per second of each system_id; 0: no limit.")] = 0,
    binds_max: Annotated[int, typer.Option(help="Sessions of each system_id.")] = 100,
    receipts: Annotated[
        str,
        typer.Option(help="standard, short-dates, long-dates, no-counts, lower, spaced or tlv-only."),
    ] = "standard",
    receipt_tlvs: Annotated[bool, typer.Option(help="Receipts have optional parameters, too.")] = True,
    ids: Annotated[
        str, typer.Option(help="Ids: same, decimal, hex-decimal, decimal-hex or padded.")
    ] = "same",
    long_messages: Annotated[
        str, typer.Option(help="How handsets' long messages are cut: udh8, udh16, sar or payload.")
    ] = "udh8",
    response_delay_ms: Annotated[int, typer.Option(help="How long each answer lags.")] = 0,
    drop_responses: Annotated[float, typer.Option(help="Chance that a submit is never answered.")] = 0,
    disconnect_every: Annotated[
        int, typer.Option(help="Cut a connection at every so many submits; 0: never.")
    ] = 0,
    congestion: Annotated[
        int | None, typer.Option(help="congestion_state in answers to a 5.0 ESME, 0 to 100.")
    ] = None,
    delay_min_ms: Annotated[int, typer.Option(help="Receipts come after this long at least.")] = 50,
    delay_max_ms: Annotated[int, typer.Option(help="And after this long at most.")] = 250,
    seed: Annotated[int | None, typer.Option(help="Of chance: the same one repeats itself.")] = None,
    tls_certificate: Annotated[
        str, typer.Option(metavar="FILE", help="Speak TLS with this certificate.")
    ] = "",
    tls_key: Annotated[str, typer.Option(metavar="FILE", help="Its key.")] = "",
    http_port: Annotated[
        int, typer.Option(help="Port of the handsets' API; 0 takes any, -1 leaves it out.")
    ] = 8081,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Remember messages here, so that receipts survive a crash."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")] = False,
) -> None:
    """Be an SMSC for anybody's ESME, with handsets.

    The scenarios are those of the simulated carrier: magic numbers and triggers in the text make it fail,
    delay, throttle or break. Handsets are read and typed on over HTTP.
    """
    import msgspec

    from trebuchet.simulator.smsc_settings import SmscSettings

    try:
        settings = msgspec.convert(
            {
                "host": host,
                "port": port,
                "accounts": _accounts(account or []),
                "version": version,
                "window": window,
                "segments_per_s": rate,
                "binds_max": binds_max,
                "receipts": receipts,
                "receipt_tlvs": receipt_tlvs,
                "ids": ids,
                "long_messages": long_messages,
                "response_delay_ms": response_delay_ms,
                "drop_responses": drop_responses,
                "disconnect_every": disconnect_every,
                "congestion": congestion,
                "tls_certificate_file": tls_certificate,
                "tls_key_file": tls_key,
            },
            SmscSettings,
        )
    except msgspec.ValidationError as error:
        raise CommandError(Code.REFUSED, str(error)) from None
    station = _Station(settings, data, http_port, (delay_min_ms, delay_max_ms), seed, as_json)
    try:
        asyncio.run(station.run())
    except ValueError as error:
        raise CommandError(Code.REFUSED, str(error)) from None


def _accounts(written: list[str]) -> dict[str, str]:
    wrong = [text for text in written if ":" not in text]
    if wrong:
        raise CommandError(Code.REFUSED, f"--account {wrong[0]!r} is not ID:PASSWORD")
    return dict(text.split(":", 1) for text in written)


class _Station:
    """The SMSC with what stands around it, from start to signal."""

    def __init__(
        self,
        settings: "SmscSettings",
        data: Path | None,
        http_port: int,
        delays_ms: tuple[int, int],
        seed: int | None,
        as_json: bool,
    ) -> None:
        self._settings = settings
        self._data = data
        self._http_port = http_port
        self._delays_ms = delays_ms
        self._chance = random.Random(seed)  # noqa: S311  # of a pretend network
        self._as_json = as_json
        self._live = sys.stdout.isatty() and not as_json
        self._smsc: Smsc | None = None
        self._known: set[Any] = set()

    async def run(self) -> None:
        from trebuchet.clock import SystemClock
        from trebuchet.simulator.network import SimulatedNetwork
        from trebuchet.simulator.smsc import Smsc

        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        clock = SystemClock()
        ledger, close = await self._ledger()
        least_ms, most_ms = self._delays_ms
        network = SimulatedNetwork(
            clock, self._chance, delay_min_ms=least_ms, delay_max_ms=most_ms, ledger=ledger
        )
        await network.start()
        self._smsc = Smsc(
            self._settings, network=network, clock=clock, chance=self._chance, changed=self._changed
        )
        port = await self._smsc.start()
        server, url = await self._http(network, clock)
        self._announce(port, url)
        try:
            await self._until(stopping)
        finally:
            await self._smsc.stop()
            if server is not None:
                await server.stop()
            await network.stop()
            await close()
            clock.close()

    async def _ledger(self) -> tuple[Any, Any]:
        """The network's memory, and what closes it."""
        from trebuchet.simulator.base import MemoryLedger

        if self._data is None:

            async def nothing() -> None: ...

            return MemoryLedger(), nothing

        from trebuchet.app import StoredLedger
        from trebuchet.outbox.committer import Committer
        from trebuchet.storage import open_store

        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = open_store("", self._data)
        await store.open()
        committer = Committer(store, batch_max=1000, observe=lambda *_: None)

        async def close() -> None:
            await committer.close()
            await store.close()

        return StoredLedger(committer, store), close

    async def _http(self, network: "SimulatedNetwork", clock: "Clock") -> tuple[Any, str]:
        """The handsets' API, if it is wanted, and where it is."""
        if self._http_port < 0:
            return None, ""
        from starlette.applications import Starlette
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        from trebuchet.webserver import HttpServer, listen, url_of
        from trebuchet.simulator import api

        sock = listen("127.0.0.1", self._http_port)
        server = HttpServer(Starlette(routes=api.routes(network, clock)), HttpToolsProtocol, grace_s=1)
        await server.start(sock)
        return server, url_of("127.0.0.1", sock)

    # ---- what it says ----

    def _announce(self, port: int, url: str) -> None:
        host = self._settings.host
        if self._as_json:
            self._line({"event": "listening", "host": host, "port": port, "handsets": url})
            return
        who = ", ".join(self._settings.accounts) or "anybody: any system_id and password"
        print(f"SMSC listening on {host}:{port}, SMPP {self._settings.version}")
        print(f"May bind      {who}")
        if url:
            print(f"Handsets      curl '{url}/sim/v1/handsets/+12025550123/messages?wait=10s'")
        print("Ctrl-C stops it.", flush=True)

    def _changed(self) -> None:
        """Somebody came or went: say so."""
        assert self._smsc is not None
        now = set(self._smsc.sessions)
        for event, sessions in (("bound", now - self._known), ("left", self._known - now)):
            for session in sessions:
                if self._as_json:
                    self._line(
                        {
                            "event": event,
                            "system_id": session.system_id,
                            "as": session.kind,
                            "from": session.peer,
                        }
                    )
                else:
                    print(
                        f"\r{event:<6}{session.system_id} as {session.kind} from {session.peer}", flush=True
                    )
        self._known = now

    async def _until(self, stopping: asyncio.Event) -> None:
        """Wait for the signal; on a terminal show what passes meanwhile."""
        while not stopping.is_set():
            try:
                await asyncio.wait_for(stopping.wait(), _STATUS_EVERY_S if self._live else None)
            except TimeoutError:
                self._status()
        if self._live:
            print()

    def _status(self) -> None:
        assert self._smsc is not None
        counts = self._smsc.counts
        print(
            f"\r{time.strftime('%H:%M:%S')}  {len(self._known)} bound  {counts.submits:,} submits  "
            f"{counts.refused:,} refused  {counts.throttled:,} throttled  {counts.receipts:,} receipts  "
            f"{counts.inbound:,} inbound ",
            end="",
            flush=True,
        )

    @staticmethod
    def _line(value: dict[str, Any]) -> None:
        print(json.dumps(value), flush=True)
