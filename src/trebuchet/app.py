"""The composition root: builds every part in the order of the path, starts them, stops them in reverse."""

import asyncio
import hashlib
import os
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from starlette.routing import BaseRoute, Mount, Route

from trebuchet import __version__, tracing
from trebuchet.accept import Acceptor, AcceptSettings
from trebuchet.admin import app as admin
from trebuchet.admin import bootstrap
from trebuchet.admin import openapi as admin_openapi
from trebuchet.admin.answers import problem_answer
from trebuchet.admin.app import BearerGuard
from trebuchet.admin.context import AdminContext, NodesView
from trebuchet.admin.passwords import Passwords
from trebuchet.admin.resources import Admin
from trebuchet.admin.secrets import new_secret
from trebuchet.admin.users import Users
from trebuchet.api import app as api
from trebuchet.api import problems
from trebuchet.api.create import CreateMessage
from trebuchet.api.hot import make_protocol
from trebuchet.callbacks.deliver import CallbackPolicy, Callbacks
from trebuchet.carriers import CARRIERS, check_settings, kind_of
from trebuchet.carriers import build as build_link
from trebuchet.carriers import parts as parts_of
from trebuchet.carriers.base import CarrierLink, CarrierReports, Surroundings
from trebuchet.carriers.simulator.oversmpp import beside_smpp, over_smpp
from trebuchet.clock import Clock, Ids, SystemClock
from trebuchet.console import app as console
from trebuchet.console.app import ConsoleRoute
from trebuchet.console.attempts import LoginAttempts
from trebuchet.console.catcher import Catcher, moved
from trebuchet.console.catcher import url_of as url_of_catcher
from trebuchet.console.context import ConsoleContext
from trebuchet.console.guard import GuardRules
from trebuchet.console.history import History
from trebuchet.console.linkhistory import LinkHistory
from trebuchet.console.linkview import measured
from trebuchet.dispatch import Policy
from trebuchet.feed import Feed
from trebuchet.housekeeping import Housekeeping, Retention
from trebuchet.inbound import Inbound
from trebuchet.kept import StoredDebts, StoredLedger, write_private
from trebuchet.logs import event_log
from trebuchet.media.contents import ContentStore
from trebuchet.media.fetch import Fetcher
from trebuchet.media.hold import MediaStage
from trebuchet.media.library import MediaLibrary, MediaSettings
from trebuchet.media.workers import ImageWorkers
from trebuchet.model.account import Carrier, Directory, InDoubt, Role, User
from trebuchet.model.events import Announcement
from trebuchet.model.message import MEDIA_LANE, Message
from trebuchet.model.nodes import API, CONSOLE, Node
from trebuchet.nodes.tenancy import FOREVER
from trebuchet.outbox.backoff import Schedule
from trebuchet.outbox.committer import Committer, Spacing
from trebuchet.outbox.pacing import Limit, Pacing
from trebuchet.receipts import Receipts
from trebuchet.settings import Settings
from trebuchet.settings.rows import in_force
from trebuchet.sharing import HOUSEKEEPING, Sharing
from trebuchet.simulator import api as simulator_api
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.standing import Standing
from trebuchet.storage import open_store
from trebuchet.storage.base import Change, Create, DueWork, Pulse, Store
from trebuchet.supervisor import Supervisor
from trebuchet.telemetry import Telemetry
from trebuchet.webclient import AddressRules, WebClient
from trebuchet.webserver import HttpServer, is_loopback, listen, url_of

if TYPE_CHECKING:
    from trebuchet.simulator.smsc import Smsc

# What a busy gateway's answers may wait so that commits are shared; 100 changes are the lives of twenty messages.
_SPACING = Spacing(least_s=0.003, most_s=0.020, quiet_s=0.001, enough=100)
FIRST_PERSON = "admin"  # who may log in to the console after the first start
DEMO_ADMIN_TOKEN = "admin-demo"  # noqa: S105  # documented and fixed: `serve --demo` is for tests


class Ready(msgspec.Struct, frozen=True):
    """What a person needs to begin; given out when the gateway answers requests."""

    base_url: str
    data_dir: Path
    admin_token_path: Path
    first_run: bool  # credentials were made in this start
    account_id: str
    token: str
    secret: str | None  # known only when it was just made, or in demo mode
    application_id: str
    numbers: tuple[str, ...]
    simulator: bool
    loopback_callbacks: bool
    console: bool = True  # whether it is served
    console_password: str | None = None  # of FIRST_PERSON, if made in this start

    def __repr__(self) -> str:
        return f"Ready(base_url={self.base_url!r}, account_id={self.account_id!r})"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a start needs beside the settings."""

    data_dir: Path
    demo: bool = False
    callback_url: str | None = None
    sources: Mapping[str, str] = {}  # where the value of each setting came from, if not from its default
    worker: int | None = None  # the number of this process among several that share the port


class Gateway:
    """The whole gateway in one event loop. `start`, use, `stop`; each once."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        clock: Clock | None = None,
        open_store: Callable[..., Store] = open_store,
    ) -> None:
        self.settings = settings
        self.options = options
        self.clock = clock or SystemClock()
        self._open_store = open_store
        self.telemetry = Telemetry(partial(event_log, settings.logging.level, settings.logging.format))
        self.feed = Feed()
        self.directory = Directory()
        self._reloading = asyncio.Lock()
        self.started_ms = self.clock.now_ms()
        self._process_id = os.urandom(8).hex()
        self.sharing: Sharing | None = None
        self.base_url = self.listening_url = ""
        self._ready = ""
        self._server: HttpServer | None = None
        self._smsc: Smsc | None = None
        self._smsc_port = 0
        self.history: History | None = None
        self.link_history: LinkHistory | None = None
        self.passwords = Passwords()
        self.catcher = self._catcher()
        self._console_password: str | None = None
        self._first: bootstrap.FirstRecords | None = None

    # ---- building, in the order of the path ----

    async def start(self) -> Ready:
        """Open the store, take up what waits, answer requests.

        Raises StorageUnavailable, TracingUnavailable, OSError.
        """
        settings, options = self.settings, self.options
        options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.tracer = self._tracer()
        self.store = self._open_store(
            settings.storage.database.reveal(),
            options.data_dir,
            slot=self._process_id,
            now_ms=self.clock.now_ms,
        )
        await self.store.open()
        self.committer = Committer(
            self.store,
            batch_max=settings.storage.commit_max,
            observe=self.telemetry.batch,
            spacing=_SPACING,
        )
        self.ids = Ids()
        self.sharing = self._sharing() if self.store.shared else None
        async with self.sharing.setting_up() if self.sharing is not None else nullcontext():
            self.directory = await self.store.directory()
            self._first = await self._first_run() or self._demo_records()
            await self._first_person()
        self._build_path()
        sockets = self._listen()
        self.listening_url = url_of(settings.server.host, sockets[0])
        self.base_url = settings.server.public_base_url or self.listening_url
        await self._resume(url_of(settings.server.host, sockets[-1]))
        await self._call_back_to_the_catcher(self._first)
        await self._serve(sockets)
        return self._announcement(self._first)

    def _listen(self) -> list[socket.socket]:
        """The port, and, where several processes share it, one of this process alone: the next ones, by number."""
        server, worker = self.settings.server, self.options.worker
        if worker is None:
            return [listen(server.host, server.port)]
        return [listen(server.host, server.port, shared=True), listen(server.host, server.port + 1 + worker)]

    def _node_name(self) -> str:
        name = self.settings.nodes.name or socket.gethostname()
        return name if self.options.worker is None else f"{name}-{self.options.worker}"

    def _sharing(self) -> Sharing:
        nodes = self.settings.nodes
        name = self._node_name()
        node = Node(self._node_id(), name, "", nodes.roles, __version__, self.started_ms)
        return Sharing(
            node,
            store=self.store,
            committer=self.committer,
            lease_s=nodes.lease_s,
            now_s=asyncio.get_running_loop().time,
            telemetry=self.telemetry,
        )

    def _node_id(self) -> str:
        """The same after a restart: what the process that had this folder before owned is then given up at once.

        Only one process at a time has the folder.
        """
        worker = self.options.worker
        path = self.options.data_dir / ("node-id" if not worker else f"node-id-{worker}")
        if not path.exists():
            write_private(path, os.urandom(8).hex().encode())
        return path.read_text().strip()

    def _nodes(self) -> NodesView:
        if self.sharing is not None:
            return self.sharing.view()
        node = Node(
            self._process_id,
            self._node_name(),
            self.base_url,
            self.settings.nodes.roles,
            __version__,
            self.started_ms,
            self.clock.now_ms(),
        )
        return NodesView(Pulse(self.clock.now_ms(), (node,), (), 0), node.id, 0, shared=False)

    def _build_path(self) -> None:
        self.network = self._network() if self.settings.simulator.enabled else None
        sharing = self.sharing
        self.pacing = Pacing(lambda: sharing.sharers(API)) if sharing is not None else Pacing()
        self.client = self._client()
        self.library = self._library()
        self.images = ImageWorkers()
        self.callbacks = self._callbacks()
        self.supervisor = self._supervisor()
        self.standing = Standing(
            supervisor=self.supervisor,
            store=self.store,
            clock=self.clock,
            telemetry=self.telemetry,
            held=sharing.held if sharing is not None else None,
        )
        self.acceptor = self._acceptor()
        self.supervisor.receipts = Receipts(
            committer=self.committer,
            announce=self.callbacks.announce,
            telemetry=self.telemetry,
            tracer=self.tracer,
        )
        self.inbound = self.supervisor.inbound = Inbound(
            clock=self.clock,
            ids=self.ids,
            store=self.store,
            committer=self.committer,
            directory=lambda: self.directory,
            reload_directory=self._records_changed,
            acceptor=self.acceptor,
            library=self.library,
            reassembly_timeout_s=self.settings.inbound.reassembly_timeout_s,
            announce=self._announce,
            telemetry=self.telemetry,
            tracer=self.tracer,
        )
        self.housekeeping = self._housekeeping()
        if self.sharing is not None:
            self.sharing.works_with(self.supervisor, self.callbacks, self.reload_directory, self._recount)

    def _tracer(self) -> tracing.Tracer:
        settings = self.settings.tracing
        return tracing.build(
            settings.endpoint,
            settings.sample_ratio,
            instance=f"{self.settings.nodes.name or socket.gethostname()}-{os.getpid()}",
            version=__version__,
            clock=self.clock,
            telemetry=self.telemetry,
        )

    def _client(self) -> WebClient:
        settings = self.settings
        return WebClient(
            AddressRules(
                allow_loopback=self.loopback_callbacks,
                allow_networks=tuple(map(ip_network, settings.callbacks.allow_networks)),
            ),
            connections_max=settings.callbacks.connections_max,
            connections_per_origin=settings.callbacks.connections_max,
        )

    def _library(self) -> MediaLibrary:
        media = self.settings.media
        return MediaLibrary(
            store=self.store,
            contents=ContentStore(
                media.store,
                self.options.data_dir / "media",
                now_ms=self.clock.now_ms,
                random_bytes=os.urandom,
            ),
            committer=self.committer,
            clock=self.clock,
            settings=MediaSettings(media.max_bytes, media.keep_h * 3_600_000),
            base_url=lambda: self.base_url,
            own_urls=lambda: (self.listening_url,),
        )

    def _add_media_stage(self) -> None:
        """What fetches the files of messages before their carriers' turn."""
        media = self.settings.media
        self.fetcher = Fetcher(
            self.client,
            self.library.own,
            file_max=media.message_max_bytes,
            timeout_s=media.fetch_timeout_s,
            user_agent=self.settings.callbacks.user_agent,
        )
        build = partial(
            MediaStage,
            clock=self.clock,
            fetch=partial(self.fetcher.fetch, total_max=media.message_max_bytes),
            keep=self.library.keep,
            outcome=self.supervisor.stage_outcome,
        )
        self.supervisor.add_stage(MEDIA_LANE, build, Policy("", InDoubt.RESEND, 0, submits=False))

    def _callbacks(self) -> Callbacks:
        settings = self.settings
        return Callbacks(
            clock=self.clock,
            store=self.store,
            committer=self.committer,
            client=self.client,
            directory=lambda: self.directory,
            policy=CallbackPolicy(
                schedule=Schedule(
                    first_s=settings.callbacks.retry_first_s,
                    max_s=settings.callbacks.retry_max_s,
                    give_up_s=settings.callbacks.retry_for_s,
                ),
                timeout_s=settings.callbacks.timeout_s,
                concurrency=settings.callbacks.concurrency,
                memory=settings.outbox.lane_memory,
                user_agent=settings.callbacks.user_agent,
                answer_keep=settings.callbacks.answer_keep_bytes,
            ),
            chance=random.random,
            feed=self.feed,
            telemetry=self.telemetry,
            tenure=self.sharing.tenure if self.sharing is not None else lambda _: FOREVER,
            hint=self.store.hint,
            tracer=self.tracer,
        )

    def _supervisor(self) -> Supervisor:
        settings = self.settings
        return Supervisor(
            build=self._build_link,
            kind=lambda carrier: kind_of(self._seen_by_link(carrier)),
            parts=lambda carrier: parts_of(self._seen_by_link(carrier)),
            tenure=self.sharing.tenure if self.sharing is not None else None,
            hint=self.store.hint,
            clock=self.clock,
            store=self.store,
            committer=self.committer,
            directory=lambda: self.directory,
            receipt_timeout_s=settings.outbox.receipt_timeout_s,
            lane_memory=settings.outbox.lane_memory,
            grace_s=settings.server.shutdown_grace_s / 2,
            announce=self.callbacks.announce,
            released=self._released,
            feed=self.feed,
            telemetry=self.telemetry,
            tracer=self.tracer,
        )

    def _build_link(self, carrier: Carrier, reports: CarrierReports, part: str | None) -> CarrierLink:
        surroundings = Surroundings(
            self.clock,
            self.network,
            self.telemetry,
            self.library.held_files,
            self.images,
            lambda number: number in self.directory.numbers,
            StoredDebts(self.committer, self.store),
        )
        return build_link(self._seen_by_link(carrier), reports, surroundings, part)

    def _seen_by_link(self, carrier: Carrier) -> Carrier:
        return over_smpp(carrier, self._smsc_port) if self._smsc_port else carrier

    def _acceptor(self) -> Acceptor:
        settings = self.settings
        return Acceptor(
            clock=self.clock,
            ids=self.ids,
            committer=self.committer,
            directory=lambda: self.directory,
            lanes=self.supervisor.lanes_for,
            stage=self.supervisor.stage_for,
            pacing=self.pacing,
            settings=AcceptSettings(
                default_validity_ms=int(settings.outbox.default_validity_s * 1000),
                queue_max=settings.outbox.queue_max,
                recipients_max=settings.api.max_recipients,
                strict_numbers=settings.api.strict_numbers,
            ),
            reserve=self.supervisor.reserve,
            fence=self.supervisor.fence,
            withdraw=self.supervisor.withdraw,
            offer=self._offer,
            announce=self._announce,
            tracer=self.tracer,
        )

    def _housekeeping(self) -> Housekeeping:
        retention = self.settings.retention
        return Housekeeping(
            clock=self.clock,
            store=self.store,
            committer=self.committer,
            retention=Retention(
                messages_d=retention.messages_d,
                attempts_d=retention.attempts_d,
                audit_d=retention.audit_d,
                batch=retention.batch,
            ),
            announce=self.callbacks.announce,
            released=self._released,
            hand_over_late=self.inbound.hand_over_late,
            sweep_media=self.library.sweep,
            telemetry=self.telemetry,
            finish_whole=self.inbound.resume if self.sharing is not None else None,
            mine=self._sweeps,
        )

    def _sweeps(self) -> bool:
        return self.sharing is None or self.sharing.tenure(HOUSEKEEPING) is not None

    async def _recount(self) -> None:
        """Other processes accept and release rows of the same queue."""
        self.acceptor.queued = await self.store.queued()

    async def _resume(self, own_url: str) -> None:
        """Take up what an earlier run left. `own_url` is where this very process answers."""
        self.acceptor.queued = await self.store.queued()
        for (account_id, sender), due_ms in (await self.store.pacing()).items():
            for limit in _limits(self.directory, account_id, sender):
                self.pacing.resume(limit.key, due_ms + 1000 / limit.segments_per_s)
        if self.network is not None:
            await self.network.start()
            await self._listen_as_smsc(self.network)
        self._add_media_stage()
        await self.supervisor.follow_directory()
        if self.sharing is not None:
            await self.sharing.start(own_url)
        await self.callbacks.follow()
        await self.inbound.resume()
        self.housekeeping.start()

    async def _listen_as_smsc(self, network: SimulatedNetwork) -> None:
        """With `simulator.over_smpp` the simulated carrier stands behind a real socket of loopback."""
        if not self.settings.simulator.over_smpp:
            return
        # Start-up: only who asks for it waits for it.
        from trebuchet.simulator.smsc import Smsc  # noqa: PLC0415
        from trebuchet.simulator.smsc_settings import SmscSettings  # noqa: PLC0415

        await self._keep_pictures_going()
        chance = random.Random()  # noqa: S311  # of a pretend network
        settings = SmscSettings(port=0, version="5.0")
        self._smsc = Smsc(settings, network=network, clock=self.clock, chance=chance)
        self._smsc_port = await self._smsc.start()

    async def _keep_pictures_going(self) -> None:
        """SMPP carries texts only: pictures and groups take a simulated carrier that stays in the process."""
        missing = beside_smpp(self.directory, self.clock.now_ms())
        for record in missing:
            await self.committer.add(Create(record))
        if missing:
            self.directory = await self.store.directory()

    async def _first_run(self) -> bootstrap.FirstRecords | None:
        """Make the first account if there is none, or the demo one if asked for."""
        demo = self.options.demo
        if self.directory.accounts and not (demo and bootstrap.DEMO_ACCOUNT not in self.directory.accounts):
            return None
        first = bootstrap.first_records(
            os.urandom,
            self.clock.now_ms(),
            demo=demo,
            callback_url=self.options.callback_url,
            simulator=self.settings.simulator.enabled,
        )
        for record in first.records:
            await self.committer.add(Create(record))
        self.directory = await self.store.directory()
        write_private(
            self.options.data_dir / "first-account.json",
            msgspec.json.encode(
                {
                    "account": first.account_id,
                    "token": first.token,
                    "secret": first.secret,
                    "application": first.application_id,
                    "numbers": first.numbers,
                }
            ),
        )
        return first

    def _demo_records(self) -> bootstrap.FirstRecords | None:
        """What is documented of `--demo`, whether or not this start made it."""
        if not self.options.demo:
            return None
        return bootstrap.first_records(os.urandom, 0, demo=True, callback_url=None, simulator=True)

    def _catcher(self) -> Catcher | None:
        """An endpoint for callbacks of a developer who has none yet."""
        settings = self.settings
        # What it catches is in memory, of which several processes have several.
        local = (
            settings.simulator.enabled and is_loopback(settings.server.host) and self.options.worker is None
        )
        return Catcher(self.clock, self.feed) if settings.console.enabled and local else None

    async def _call_back_to_the_catcher(self, first: bootstrap.FirstRecords | None) -> None:
        """A first application without an endpoint gets the catcher; one that has it follows it to another port."""
        if self.catcher is None:
            return
        for application in list(self.directory.applications.values()):
            url = moved(application.callback_url, self.base_url, is_loopback)
            made = first is not None and application.id == first.application_id and not self.options.demo
            if made and application.callback_url is None:
                url = url_of_catcher(self.base_url, "first")
            if url is not None:
                await self.committer.add(Change(msgspec.structs.replace(application, callback_url=url)))
        self.directory = await self.store.directory()

    async def _first_person(self) -> None:
        """Whoever can reach this gateway from elsewhere must log in, so there must be somebody who can."""
        settings = self.settings
        if not settings.console.enabled or is_loopback(settings.server.host) or self.directory.users:
            return
        self._console_password = new_secret(os.urandom)
        password_hash = await self.passwords.hash(self._console_password)
        now_ms = self.clock.now_ms()
        await self.committer.add(
            Create(User(name=FIRST_PERSON, role=Role.ADMIN, password_hash=password_hash, created_ms=now_ms))
        )
        self.directory = await self.store.directory()

    # ---- glue between the parts ----

    def _offer(self, due: Sequence[DueWork]) -> None:
        self.callbacks.remember(due[0].message)
        self.supervisor.offer(due)

    def _announce(self, message: Message, announcements: Sequence[Announcement]) -> None:
        self.callbacks.remember(message)
        self.callbacks.announce(announcements)

    def _released(self, rows: int) -> None:
        self.acceptor.queued -= rows

    async def reload_directory(self) -> None:
        """Provisioned records changed. One at a time, so that an older reading never replaces a newer one."""
        async with self._reloading:
            self.directory = await self.store.directory()
            await self.supervisor.follow_directory()

    async def _records_changed(self) -> None:
        """This process changed provisioned records."""
        await self.reload_directory()
        if self.sharing is not None:
            await self.sharing.refresh()

    @property
    def loopback_callbacks(self) -> bool:
        """Callbacks to loopback are allowed by the setting, or because this is a developer's machine."""
        settings = self.settings
        return settings.callbacks.allow_loopback or (
            settings.simulator.enabled and is_loopback(settings.server.host)
        )

    def _network(self) -> SimulatedNetwork:
        simulator = self.settings.simulator
        return SimulatedNetwork(
            self.clock,
            random.Random(simulator.seed or None),  # noqa: S311  # delays of a pretend network
            delay_min_ms=simulator.delay_min_ms,
            delay_max_ms=simulator.delay_max_ms,
            ledger=StoredLedger(self.committer, self.store),
        )

    # ---- HTTP ----

    async def _serve(self, sockets: Sequence[socket.socket]) -> None:
        create = CreateMessage(
            clock=self.clock,
            directory=lambda: self.directory,
            acceptor=self.acceptor,
            recipients_max=self.settings.api.max_recipients,
            idempotency_keep_s=self.settings.api.idempotency_keep_s,
            queue_max=self.settings.outbox.queue_max,
            feed=self.feed,
            telemetry=self.telemetry,
            taking=API in self.settings.nodes.roles,
        )
        context = api.ApiContext(
            clock=self.clock,
            directory=lambda: self.directory,
            create=create,
            store=self.store,
            telemetry=self.telemetry,
            body_max=self.settings.api.max_body_bytes,
            base_url=lambda: self.base_url,
            ready=lambda: self._ready,
            refresh_gauges=self.standing.refresh,
            extra_paths=admin_openapi.paths(),
            library=self.library,
            media_max=self.settings.media.max_bytes,
        )
        application = api.build(context, self._more_routes(create))
        protocol = make_protocol(
            create, self.settings.api.max_body_bytes, self.settings.server.head_timeout_s, self.telemetry
        )
        grace_s = self.settings.server.shutdown_grace_s / 2
        stopping = problem_answer(problems.stopping())
        self._server = HttpServer(application, protocol, grace_s=grace_s, stopping=stopping)
        await self._server.start(*sockets)

    def _more_routes(self, create: CreateMessage) -> list[BaseRoute]:
        self.admin_token = self._admin_token()
        context = AdminContext(
            clock=self.clock,
            store=self.store,
            write=self.committer.add,
            directory=lambda: self.directory,
            reload=self._records_changed,
            catch_up=self.sharing.catch_up if self.sharing is not None else None,
            replayed=self.callbacks.replayed,
            links=self.standing.links,
            nodes=self._nodes,
            feed=self.feed,
            telemetry=self.telemetry,
            random_bytes=os.urandom,
            safe_to_repeat={name for name, kind in CARRIERS.items() if kind.safe_to_repeat},
            passwords=self.passwords,
            carrier_kinds={kind: partial(check_settings, kind) for kind in CARRIERS},
            admin_token=self.admin_token,
            started_ms=self.started_ms,
            version=__version__,
            database=self.settings.storage.database.reveal().partition(":")[0] or "sqlite",
            simulator=self.network is not None,
            queued=lambda: self.acceptor.queued,
        )
        records = Admin(context)
        more: list[BaseRoute] = [Mount("/admin/v1", app=admin.build(context, records))]
        if self.network is not None:
            routes = simulator_api.routes(self.network, self.clock)
            if not is_loopback(self.settings.server.host):
                # Whoever can move time and type on handsets must be somebody we know.
                guard = partial(BearerGuard, token=self.admin_token)
                routes = [Route(r.path, guard(r.app), methods=r.methods) for r in routes]
            more += routes
        if self.settings.console.enabled and CONSOLE in self.settings.nodes.roles:
            if self.catcher is not None:
                more.append(self.catcher.route())
            more.append(ConsoleRoute(console.build(self._console(context, records, create))))
        return more

    def _console(self, context: AdminContext, records: Admin, create: CreateMessage) -> ConsoleContext:
        history = self.history = History(self.clock, self.telemetry.counts)
        history.start()
        links = self.link_history = LinkHistory(
            self.clock, lambda: measured(self.standing.links(), self.telemetry.counts())
        )
        links.start()
        return ConsoleContext(
            admin=context,
            network=self.network,
            history=history,
            link_history=links,
            library=self.library,
            submit=create.send,
            callbacks=self.callbacks,
            catcher=self.catcher,
            rules=GuardRules(
                login_needed=not is_loopback(self.settings.server.host),
                users=lambda: self.directory.users,
                now_ms=self.clock.now_ms,
                secret=self._session_secret(),
                allowed_hosts=self.settings.console.allowed_hosts,
                session_ms=self.settings.console.session_h * 3_600_000,
                viewers_see_text=self.settings.console.viewers_see_text,
            ),
            attempts=LoginAttempts(),
            records=records,
            users=Users(records),
            settings=lambda: in_force(self.settings, self.options.sources),
            base_url=lambda: self.base_url,
            first=self._first,
        )

    def _session_secret(self) -> str:
        """Signs logins. Nodes that are given the same admin token know each other's, so people log in once."""
        token = self.settings.server.admin_token.reveal()
        if not token:
            return new_secret(os.urandom)
        return hashlib.blake2b(token.encode(), person=b"console session").hexdigest()

    def _admin_token(self) -> str:
        """The admin API's token, kept in a private file where the command line finds it."""
        path = self.admin_token_path
        token = self.settings.server.admin_token.reveal() or (DEMO_ADMIN_TOKEN if self.options.demo else "")
        if not token and path.exists():
            token = path.read_text().strip()
        token = token or new_secret(os.urandom)
        write_private(path, token.encode())
        return token

    @property
    def admin_token_path(self) -> Path:
        return self.options.data_dir / "admin-token"

    def _announcement(self, first: bootstrap.FirstRecords | None) -> Ready:
        return Ready(
            base_url=self.base_url,
            data_dir=self.options.data_dir,
            admin_token_path=self.admin_token_path,
            first_run=first is not None,
            account_id=first.account_id if first else next(iter(self.directory.accounts), ""),
            token=first.token if first else "",
            secret=first.secret if first else None,
            application_id=first.application_id if first else "",
            numbers=tuple(first.numbers) if first else (),
            simulator=self.network is not None,
            loopback_callbacks=self.loopback_callbacks,
            console=self.settings.console.enabled,
            console_password=self._console_password,
        )

    # ---- stopping, in reverse ----

    async def stop(self) -> None:
        """Answer what was accepted, settle what is under way, close; bounded by `server.shutdown_grace_s`."""
        self._ready = "stopping\n"
        grace_s = self.settings.server.shutdown_grace_s / 2
        if self._server is not None:
            await self._server.stop()
        if self.sharing is not None:
            await self.sharing.close()
        if self.history is not None:
            self.history.stop()
        if self.link_history is not None:
            self.link_history.stop()
        await self.supervisor.stop(grace_s)
        await self.fetcher.close()
        await self.images.close()
        if self._smsc is not None:
            await self._smsc.stop()
        if self.network is not None:
            await self.network.stop()
        await self.callbacks.close(grace_s)
        await self.client.close()
        await self.housekeeping.close()
        if self.sharing is not None:
            await self.sharing.stop()
        await self.committer.close()
        await self.tracer.close(grace_s)
        await self.store.close()
        self.passwords.close()


def _limits(directory: Directory, account_id: str, sender: str) -> list[Limit]:
    account, number = directory.accounts.get(account_id), directory.numbers.get(sender)
    limits = []
    if account is not None and account.segments_per_s is not None:
        limits.append(Limit(account_id, account.segments_per_s))
    if number is not None and number.segments_per_s is not None:
        limits.append(Limit((account_id, sender), number.segments_per_s))
    return limits
