"""`trebuchet simulate`: the other side of the carrier protocols, as a process of its own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.station import Site, Station

if TYPE_CHECKING:
    from starlette.routing import Route

    from trebuchet.simulator.mmsc import Mmsc
    from trebuchet.simulator.mmsc_settings import MmscSettings
    from trebuchet.simulator.smsc import Bound, Smsc
    from trebuchet.simulator.smsc_settings import SmscSettings


def register(tree: typer.Typer) -> None:
    """Add `simulate` to the command tree."""
    group = typer.Typer(help="Pretend to be a carrier, for somebody's client.", no_args_is_help=True)
    group.command("smsc")(smsc)
    group.command("mmsc")(mmsc)
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
    station = Station(_SmscHouse(settings), data, http_port, (delay_min_ms, delay_max_ms), seed, as_json)
    station.serve()


def mmsc(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any.")] = 2526,
    domain: Annotated[str, typer.Option(help="Of the handsets' addresses.")] = "mms.handsets.example",
    peer_host: Annotated[str, typer.Option(help="Where the peer's relay listens.")] = "127.0.0.1",
    peer_port: Annotated[
        int, typer.Option(help="Its port; 0: neither answers, nor reports, nor handsets' messages go there.")
    ] = 2525,
    peer_domain: Annotated[str, typer.Option(help="Of its numbers' addresses.")] = "mms.gateway.example",
    peer_user: Annotated[
        str, typer.Option(metavar="NAME:PASSWORD", help="As whom to authenticate to the peer.")
    ] = "",
    peer_tls: Annotated[str, typer.Option(help="none, starttls or implicit.")] = "none",
    peer_tls_verify: Annotated[bool, typer.Option(help="Check the peer's certificate.")] = True,
    account: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:PASSWORD", help="Who may hand over mail; repeatable. Without, anybody may."
        ),
    ] = None,
    tls: Annotated[str, typer.Option(help="none, starttls, starttls-required or implicit.")] = "none",
    tls_certificate: Annotated[str, typer.Option(metavar="FILE", help="Its certificate.")] = "",
    tls_key: Annotated[str, typer.Option(metavar="FILE", help="Its key.")] = "",
    max_octets: Annotated[int, typer.Option(help="Of a mail; larger ones are refused.")] = 10_000_000,
    mm7_port: Annotated[
        int, typer.Option(help="Port for applications that post MM7; 0 takes any, -1: none.")
    ] = -1,
    mm7_profile: Annotated[str, typer.Option(help="Namespace and version of what it posts.")] = "rel6-1.4",
    vasp_url: Annotated[
        str, typer.Option(metavar="URL", help="Where handsets' messages and reports are posted as MM7.")
    ] = "",
    vasp_user: Annotated[
        str, typer.Option(metavar="NAME:PASSWORD", help="As whom to authenticate there.")
    ] = "",
    refuses: Annotated[
        str, typer.Option(help="How it refuses: answer (MM4_forward.RES) or smtp (a 5xx reply).")
    ] = "answer",
    reports: Annotated[
        str,
        typer.Option(help="Reports of what was delivered: retrieved, forwarded, indeterminate or none."),
    ] = "retrieved",
    internal_status: Annotated[
        bool, typer.Option(help="Answers and reports have X-Internal-Status-Code.")
    ] = True,
    answer_delay_ms: Annotated[int, typer.Option(help="How long each answer lags.")] = 0,
    drop_answers: Annotated[float, typer.Option(help="Chance that a forward is never answered.")] = 0,
    busy: Annotated[float, typer.Option(help="Chance that a mail is answered 451.")] = 0,
    disconnect_every: Annotated[
        int, typer.Option(help="Cut all connections at every so many mails; 0: never.")
    ] = 0,
    plus: Annotated[bool, typer.Option(help="Numbers are written with a plus.")] = True,
    type_plmn: Annotated[bool, typer.Option(help="Numbers are written with /TYPE=PLMN.")] = True,
    header_domain: Annotated[bool, typer.Option(help="Headers have the domains of numbers.")] = True,
    delay_min_ms: Annotated[int, typer.Option(help="Reports come after this long at least.")] = 50,
    delay_max_ms: Annotated[int, typer.Option(help="And after this long at most.")] = 250,
    seed: Annotated[int | None, typer.Option(help="Of chance: the same one repeats itself.")] = None,
    http_port: Annotated[
        int, typer.Option(help="Port of the handsets' API; 0 takes any, -1 leaves it out.")
    ] = 8081,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Remember messages here, so that reports survive a crash."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")] = False,
) -> None:
    """Be an MMSC for anybody's MM4 relay, or MM7 application, with handsets.

    The scenarios are those of the simulated carrier; #smtp:451, #answer:STATUS and #report:STATUS in a text ask
    for one reply, request status or MM status. Handsets are read and typed on over HTTP, pictures included.
    """
    import msgspec

    from trebuchet.simulator.mmsc_settings import parse_settings

    if peer_user and ":" not in peer_user:
        raise CommandError(Code.REFUSED, "--peer-user is not NAME:PASSWORD")
    if vasp_user and ":" not in vasp_user:
        raise CommandError(Code.REFUSED, "--vasp-user is not NAME:PASSWORD")
    peer_username, _, peer_password = peer_user.partition(":")
    vasp_username, _, vasp_password = vasp_user.partition(":")
    try:
        settings = parse_settings(
            {
                "host": host,
                "port": port,
                "domain": domain,
                "accounts": _accounts(account or [], "NAME:PASSWORD"),
                "tls": tls,
                "tls_certificate_file": tls_certificate,
                "tls_key_file": tls_key,
                "mail_octets_max": max_octets,
                "peer_host": peer_host,
                "peer_port": peer_port,
                "peer_domain": peer_domain,
                "peer_tls": peer_tls,
                "peer_tls_verify": peer_tls_verify,
                "peer_username": peer_username,
                "peer_password": peer_password,
                "mm7_port": mm7_port,
                "mm7_profile": mm7_profile,
                "vasp_url": vasp_url,
                "vasp_username": vasp_username,
                "vasp_password": vasp_password,
                "refuses": refuses,
                "reports": reports,
                "internal_status": internal_status,
                "answer_delay_ms": answer_delay_ms,
                "drop_answers": drop_answers,
                "busy": busy,
                "disconnect_every": disconnect_every,
                "plus": plus,
                "type_plmn": type_plmn,
                "header_domain": header_domain,
            }
        )
    except (ValueError, msgspec.ValidationError) as error:
        raise CommandError(Code.REFUSED, str(error)) from None
    station = Station(_MmscHouse(settings), data, http_port, (delay_min_ms, delay_max_ms), seed, as_json)
    station.serve()


def _accounts(written: list[str], form: str = "ID:PASSWORD") -> dict[str, str]:
    wrong = [text for text in written if ":" not in text]
    if wrong:
        raise CommandError(Code.REFUSED, f"--account {wrong[0]!r} is not {form}")
    return dict(text.split(":", 1) for text in written)


class _SmscHouse:
    """A House."""

    def __init__(self, settings: "SmscSettings") -> None:
        self._settings = settings
        self._smsc: Smsc | None = None
        self._say: Callable[[str, dict[str, Any]], None] = _silent
        self._known: set[Bound] = set()

    async def start(self, site: Site) -> int:
        from trebuchet.simulator.smsc import Smsc

        self._say = site.say
        self._smsc = Smsc(
            self._settings,
            network=site.network,
            clock=site.clock,
            chance=site.chance,
            changed=self._changed,
        )
        return await self._smsc.start()

    async def stop(self) -> None:
        if self._smsc is not None:
            await self._smsc.stop()

    def routes(self) -> Sequence["Route"]:
        return ()

    def announcement(self, port: int) -> tuple[dict[str, Any], list[str]]:
        settings = self._settings
        who = ", ".join(settings.accounts) or "anybody: any system_id and password"
        return {"host": settings.host}, [
            f"SMSC listening on {settings.host}:{port}, SMPP {settings.version}",
            f"May bind      {who}",
        ]

    def status(self) -> str:
        assert self._smsc is not None
        counts = self._smsc.counts
        return (
            f"{len(self._known)} bound  {counts.submits:,} submits  {counts.refused:,} refused  "
            f"{counts.throttled:,} throttled  {counts.receipts:,} receipts  {counts.inbound:,} inbound"
        )

    def _changed(self) -> None:
        """Somebody came or went: say so."""
        assert self._smsc is not None
        now = set(self._smsc.sessions)
        for event, sessions in (("bound", now - self._known), ("left", self._known - now)):
            for session in sessions:
                said = {"system_id": session.system_id, "as": session.kind, "from": session.peer}
                words = f"{event:<6}{session.system_id} as {session.kind} from {session.peer}"
                self._say(words, {"event": event, **said})
        self._known = now


class _MmscHouse:
    """A House."""

    def __init__(self, settings: "MmscSettings") -> None:
        from trebuchet.simulator.mmsc_files import Files

        self._settings = settings
        self._files = Files(settings.files_octets_max)
        self._mmsc: Mmsc | None = None

    async def start(self, site: Site) -> int:
        from trebuchet.simulator.mmsc import Mmsc

        self._files.base_url = site.url
        self._mmsc = Mmsc(
            self._settings,
            network=site.network,
            clock=site.clock,
            chance=site.chance,
            files=self._files,
            changed=lambda trouble: site.say(
                f"peer  {trouble or 'takes what it is told'}", {"event": "peer", "trouble": trouble}
            ),
        )
        return await self._mmsc.start()

    async def stop(self) -> None:
        if self._mmsc is not None:
            await self._mmsc.stop()

    def routes(self) -> Sequence["Route"]:
        return self._files.routes()

    def announcement(self, port: int) -> tuple[dict[str, Any], list[str]]:
        settings = self._settings
        peer = f"{settings.peer_host}:{settings.peer_port}" if settings.peer_port else "none"
        assert self._mmsc is not None
        lines = [
            f"MMSC listening on {settings.host}:{port}, domain {settings.domain}",
            f"Peer          {peer}, domain {settings.peer_domain}",
        ]
        said = {"host": settings.host, "domain": settings.domain}
        if self._mmsc.mm7_port < 0:
            return said, lines
        url = f"http://{settings.host}:{self._mmsc.mm7_port}/mm7"
        return {**said, "mm7": url}, [*lines, f"MM7           {url}, VASP at {settings.vasp_url or 'no URL'}"]

    def status(self) -> str:
        assert self._mmsc is not None
        counts = self._mmsc.counts
        return (
            f"{self._mmsc.connections} connected  {counts.forwards:,} forwards  {counts.refused:,} refused  "
            f"{counts.busy:,} busy  {counts.answers:,} answers  {counts.reports:,} reports  {counts.unsaid:,} unsaid  "
            f"{counts.inbound:,} inbound"
        )


def _silent(words: str, said: dict[str, Any]) -> None:
    """Nobody listens yet."""
