"""The MMSC's other relay: a port that takes what a VASP posts, and what is posted to the VASP."""

import asyncio
import base64
import hmac
import random
from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trebuchet.clock import Clock, Ids
from trebuchet.errors import TrebuchetError
from trebuchet.model.receipt import ReceiptState
from trebuchet.protocols import mm7
from trebuchet.protocols.mm4 import EncodedPart
from trebuchet.protocols.mm7 import status
from trebuchet.simulator import mmsc_mail as mail
from trebuchet.simulator import mmsc_onair as onair
from trebuchet.simulator import mmsc_soap as soap
from trebuchet.simulator.base import NoLink
from trebuchet.simulator.mmsc_account import Account
from trebuchet.simulator.mmsc_base import Counts, Heard, NotSaid, Report, Written
from trebuchet.simulator.mmsc_settings import MmscSettings
from trebuchet.webclient import AddressRules, WebClient, WebError
from trebuchet.webserver import HttpServer, listen

_PATH: Final = "/mm7"
_SAY_S: Final = 30.0  # for one request to the VASP
_ANSWER_MAX: Final = 65_536
_NOT_NOW: Final = frozenset({status.Verdict.TEMPORARY, status.Verdict.LINK})
_EVERYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class Mm7Relay:
    """Listens from `start` to `stop`; each once. A `Relay` of its account. All calls in one event loop."""

    def __init__(
        self,
        settings: MmscSettings,
        account: Account,
        *,
        clock: Clock,
        ids: Ids,
        chance: random.Random,
        counts: Counts,
        changed: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self._account = account
        self._clock = clock
        self._ids = ids
        self._chance = chance
        self._counts = counts
        self._changed = changed
        self._trouble = ""
        self._profile = mm7.PROFILES[settings.mm7_profile]
        self._client = WebClient(AddressRules(allow_loopback=True, allow_networks=_EVERYWHERE))
        self._server: HttpServer | None = None
        self._stopping = asyncio.Event()
        self._down_until_ms = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen. Returns the port. Raises OSError if it is taken."""
        sock = listen(self.settings.host, self.settings.mm7_port)
        application = Starlette(routes=[Route(_PATH, self._handle, methods=["GET", "POST"])])
        self._server = HttpServer(application, HttpToolsProtocol, grace_s=1)
        await self._server.start(sock)
        return int(sock.getsockname()[1])

    async def stop(self) -> None:
        """Close everything. May be called twice."""
        self._stopping.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()
        if self._server is not None:
            await self._server.stop()

    # ---- Relay: what the account has to say ----

    def down(self, until_ms: int) -> None:
        """It answers 503 until then."""
        self._down_until_ms = until_ms

    async def report(self, report: Report) -> None:
        if not self.settings.vasp_url:
            return
        for word in mail.words_of(report, self.settings):
            request = soap.delivery_report(report, word, self._ids.message_id(self._clock.now_ms()))
            try:
                answered = await self._post(request)
            except TrebuchetError as error:
                raise NotSaid(str(error)) from None
            if status.outcome_of(answered).verdict in _NOT_NOW:
                raise NotSaid(f"the VASP answered {answered}")
            self._counts.reports += 1

    async def write(self, written: Written) -> None:
        if not self.settings.vasp_url:
            raise NoLink("the MMSC was told no URL of a VASP")
        try:
            request, parts = soap.deliver(written, self._clock.now_ms())
            answered = await self._post(request, parts)
        except (TrebuchetError, ValueError) as error:
            raise NoLink(f"the VASP did not take it: {error}") from None
        if status.outcome_of(answered).verdict is not status.Verdict.OK:
            raise NoLink(f"the VASP answered {answered}")

    # ---- what the VASP posts ----

    async def _handle(self, request: Request) -> Response:
        if not self._is_known(request.headers.get("authorization", "")):
            return Response("a user name and password are needed\n", 401, {"WWW-Authenticate": "Basic"})
        if self._clock.now_ms() < self._down_until_ms:
            return Response("simulated outage\n", 503)
        if request.method == "GET":
            return Response("MM7 is spoken by POST\n", 405, {"Allow": "POST"})
        octets = await self._body(request)
        if octets is None:
            return Response(f"at most {self.settings.mail_octets_max} octets are taken\n", 413)
        try:
            message = mm7.decode(request.headers.get("content-type", ""), octets)
        except mm7.Mm7Error as error:
            self._counts.refused += 1
            return self._written(
                self._fault(error.status, error.what, error.transaction_id, error.namespace), 400
            )
        if not isinstance(message, mm7.SubmitReq):
            self._counts.refused += 1
            return self._written(
                self._fault(4003, message.NAME, message.transaction_id, message.namespace), 400
            )
        said, heard = await self._submitted(message)
        if not said.status:
            await self._stopping.wait()
            return Response(status_code=503)
        return self._written(soap.answer(message, said, heard), 200)

    async def _submitted(self, request: mm7.SubmitReq) -> tuple[soap.Said, Heard]:
        heard = soap.hear(request)
        self._counts.forwards += 1
        if not heard.recipients or not heard.source:
            self._counts.refused += 1
            return soap.Said(soap.NO_RECIPIENT, "no number to deliver to, or from"), heard
        if self._chance.random() < self.settings.busy:
            self._counts.busy += 1
            return soap.Said(status.SERVER_ERROR, "simulated busy"), heard
        attempt = self._account.attempt(heard)
        said = soap.asked_for(onair.asked(heard.text), attempt)
        if said is None:
            replies = await self._account.take(heard, attempt, shown=mail.is_shown(heard.report_as))
            said = soap.judge(replies)
        if self._chance.random() < self.settings.drop_answers:
            said = soap.Said(0)
        self._count(said)
        if heard.wants_report:
            self._report_refused(said, heard)
        return said, heard

    def _count(self, said: soap.Said) -> None:
        if not said.status:
            return
        verdict = status.outcome_of(said.status).verdict
        self._counts.answers += 1
        self._counts.busy += verdict in _NOT_NOW
        self._counts.refused += verdict is status.Verdict.PERMANENT

    def _report_refused(self, said: soap.Said, heard: Heard) -> None:
        """Partial success says in free text who has it: a report says so to a program."""
        for number, code in said.refused:
            report = Report(
                message_id=heard.message_id,
                origin="",
                source=heard.source,
                recipient=number,
                state=ReceiptState.REJECTED,
                code=code,
                at_ms=self._clock.now_ms(),
            )
            task = asyncio.get_running_loop().create_task(self._report_once(report))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _report_once(self, report: Report) -> None:
        try:
            await self.report(report)
        except NotSaid:
            self._counts.unsaid += 1

    def _is_known(self, authorization: str) -> bool:
        if not self.settings.accounts:
            return True
        scheme, _, given = authorization.partition(" ")
        known = (base64.b64encode(f"{name}:{word}".encode()) for name, word in self.settings.accounts.items())
        return scheme.lower() == "basic" and any(hmac.compare_digest(given.encode(), each) for each in known)

    async def _body(self, request: Request) -> bytes | None:
        """None if it is too large."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.settings.mail_octets_max:
                return None
        return bytes(body)

    def _fault(self, code: int, what: str, transaction_id: str, namespace: str) -> mm7.RsError:
        return mm7.RsError(
            transaction_id=transaction_id,
            namespace=namespace,
            status=code,
            status_text=status.text_of(code),
            details=what,
        )

    def _written(self, answer: mm7.Answer, http_status: int) -> Response:
        encoded = mm7.encode(answer, self._profile)
        return Response(encoded.octets, http_status, media_type=encoded.content_type)

    # ---- what is posted to the VASP ----

    async def _post(self, request: mm7.Request, parts: list[EncodedPart] | None = None) -> int:
        """The StatusCode that the VASP answers. Raises WebError, and NotSaid for an answer that is none."""
        settings = self.settings
        body = mm7.encode(request, self._profile, f"b{request.transaction_id}", parts=parts)
        headers = [(b"Content-Type", body.content_type.encode()), (b"SOAPAction", b'""')]
        if settings.vasp_username:
            token = base64.b64encode(f"{settings.vasp_username}:{settings.vasp_password}".encode())
            headers.append((b"Authorization", b"Basic " + token))
        post = partial(self._client.post, timeout_s=_SAY_S, answer_max=_ANSWER_MAX)
        try:
            answer = await post(settings.vasp_url, body.octets, headers)
        except WebError as error:
            self._tell(str(error))
            raise
        self._tell("" if answer.status < 400 else f"HTTP {answer.status}")
        content_type = dict(answer.headers).get(b"content-type", b"text/xml").decode("latin-1")
        try:
            said = mm7.decode(content_type, answer.body)
        except mm7.Mm7Error as error:
            raise NotSaid(f"HTTP {answer.status}: {error.what}") from None
        return getattr(said, "status", 0)

    def _tell(self, trouble: str) -> None:
        """Whether the VASP takes what it is told, if that has changed."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._changed(trouble)
