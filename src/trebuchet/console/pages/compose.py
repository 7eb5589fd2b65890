"""Compose: any message that the API can send, what it will cost as one types, and the program text that sends it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from trebuchet.api.problems import Problem, conflict
from trebuchet.api.wire import MEDIA_MAX, PRIORITIES, TEXT_MAX
from trebuchet.clock import iso_ms
from trebuchet.console import uploads
from trebuchet.console.codes import codes
from trebuchet.console.context import ConsoleContext
from trebuchet.console.microscope import explained
from trebuchet.console.render import Page, Pages, see_other
from trebuchet.console.uploads import Form, Upload
from trebuchet.media.contents import TooLarge
from trebuchet.media.sniff import sniff
from trebuchet.model.account import Account, Directory, Profile
from trebuchet.protocols import sms

FIELDS: Final = ("applicationId", "from", "to", "text", "media", "tag", "priority", "expiration")
_UPLOAD_MAX: Final = 20_000_000  # octets of all files that are added at once
# Units of a text that is one segment, and of each segment of a longer one.
_SINGLE: Final = {sms.Encoding.GSM7: 160, sms.Encoding.UCS2: 70}
_PART: Final = {sms.Encoding.GSM7: 153, sms.Encoding.UCS2: 67}
_EXPIRATIONS: Final = (("in 5 minutes", 300_000), ("in an hour", 3_600_000), ("in a day", 86_400_000))
_BETWEEN_NUMBERS: Final = re.compile(r"[\s,;]+")

Fields = Mapping[str, str]


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    composer = Composer(context)
    return [
        pages.action("/compose/count", composer.count),
        pages.action("/compose/media", composer.media),
        *pages.routes("/compose", GET=composer.page, POST=composer.send),
    ]


class Composer:
    def __init__(self, context: ConsoleContext) -> None:
        self._context = context

    async def page(self, request: Request) -> Page:
        """An empty message, or one that the query describes."""
        fields = {name: request.query_params.get(name, "") for name in FIELDS}
        return self._shown(with_defaults(fields, self._context.admin.directory()))

    async def count(self, request: Request) -> Page:
        """What a message that is being typed comes to."""
        return self._shown(_fields(await uploads.read(request)))

    async def media(self, request: Request) -> Page:
        """Files become media objects of the account, as its own uploads would; their URLs join the others."""
        form = await uploads.read(request, octets_max=_UPLOAD_MAX, files_max=MEDIA_MAX)
        fields = _fields(form)
        account = self._account(fields)
        try:
            urls = [await self._kept(account, file) for file in form.files("files")]
        except TooLarge as error:
            raise Problem(413, "request-too-large", f"A file has {error}") from None
        return self._shown({**fields, "media": "\n".join([*fields["media"].split(), *urls])})

    async def send(self, request: Request) -> Page | Response:
        """Send it as the API would; what is wrong is shown beside its field."""
        fields = _fields(await uploads.read(request))
        try:
            account = self._account(fields)
            body = json.dumps(body_of(fields)).encode()
            message = await self._context.submit(body, account, account.profile or Profile.CURRENT)
        except Problem as problem:
            return self._shown(fields, problem)
        return see_other(f"/messages/{message.id}")

    def _account(self, fields: Fields) -> Account:
        """That of the application; where there is none, the form is checked as the first account. Raises Problem."""
        directory = self._context.admin.directory()
        application = directory.applications.get(fields["applicationId"])
        accounts = directory.accounts
        account = accounts.get(application.account_id) if application else next(iter(accounts.values()), None)
        if account is None:
            raise conflict("There is no account to send as: add one in Set-up first")
        return account

    async def _kept(self, account: Account, file: Upload) -> str:
        """The URL of a file that was uploaded."""
        name = f"console/{self._context.admin.random_bytes(8).hex()}/{file.name or 'file'}"
        kind = sniff(file.octets, file.content_type)
        library = self._context.library
        await library.put(account.id, name, kind, None, uploads.octets_of(file))
        found = await library.find(account.id, name)
        assert found is not None
        return library.url_for(found[0], account.profile or Profile.CURRENT)

    def _shown(self, fields: Fields, problem: Problem | None = None) -> Page:
        admin = self._context.admin
        directory, now_ms = admin.directory(), admin.clock.now_ms()
        application = directory.applications.get(fields["applicationId"])
        body = body_of(fields)
        errors: dict[str, list[str]] = {}
        for error in problem.field_errors if problem is not None else ():
            errors.setdefault(error.field_name, []).append(error.description)
        values = {
            "fields": fields,
            "errors": errors,
            "problem": problem.description if problem is not None else None,
            "count": counted(fields, smart=application is not None and application.smart_encoding),
        }
        account_id = application.account_id if application is not None else "ACCOUNT"
        hidden = {
            "applications": _applications(directory),
            "numbers": [
                (number.number, _name(directory, number.application_id))
                for number in directory.numbers.values()
            ],
            "priorities": PRIORITIES,
            "expirations": [(words, iso_ms(now_ms + later_ms)) for words, later_ms in _EXPIRATIONS],
            "text_max": TEXT_MAX,
            "codes": codes(self._context.base_url(), account_id, body) if body.get("to") else [],
        }
        status = problem.status if problem is not None else 200
        return Page("compose", values, "Compose", status, hidden=hidden)


def with_defaults(fields: Fields, directory: Directory) -> dict[str, str]:
    """What a person would most likely fill in: an application that has a number, and its number."""
    given = dict(fields)
    number = directory.numbers.get(given["from"])
    if not given["applicationId"]:
        number = number or next(iter(directory.numbers.values()), None)
        given["applicationId"] = number.application_id if number else next(iter(directory.applications), "")
    if not given["from"]:
        own = (n.number for n in directory.numbers.values() if n.application_id == given["applicationId"])
        given["from"] = next(own, "")
    return given


def recipients(written: str) -> list[str]:
    """Numbers that are written with blanks, commas, semicolons or line ends between them."""
    return [number for number in _BETWEEN_NUMBERS.split(written) if number]


def body_of(fields: Fields) -> dict[str, Any]:
    """The request that the form stands for: what was left empty is left out."""
    to = recipients(fields["to"])
    body: dict[str, Any] = {
        "from": fields["from"].strip(),
        "to": to[0] if len(to) == 1 else to,
        "text": fields["text"],
        "applicationId": fields["applicationId"],
        "media": fields["media"].split(),
        "tag": fields["tag"],
        "priority": fields["priority"],
        "expiration": fields["expiration"].strip(),
    }
    return {name: value for name, value in body.items() if value}


def counted(fields: Fields, *, smart: bool) -> dict[str, Any]:
    """What a message costs: in segments for each recipient as a text, one for each as a picture or group message.

    With `smart` encoding a text is cut as it goes on air then, and shown as its handset will show it.
    """
    people = len(set(recipients(fields["to"])))
    kind = "mms" if fields["media"].split() or people > 1 else "sms"
    text = sms.smart_encode(fields["text"]) if smart else fields["text"]
    found: dict[str, Any] = {"kind": kind, "recipients": people, "smart_encoding": smart, "wrong": None}
    if kind == "mms":
        whole = [fields["text"]] if fields["text"] else []
        return {**found, "segments": 1, "cost": people, "encoding": "", "units": 0, "left": 0, "parts": whole}
    try:
        segments = sms.segment(text, 0)
        units = sms.count(text).units
    except sms.SmsError as error:
        cannot = {"segments": 0, "cost": 0, "encoding": "", "units": 0, "left": 0, "parts": [text]}
        return {**found, **cannot, "wrong": str(error)}
    encoding, last = segments[0].encoding, segments[-1]
    octets_per_unit = 1 if encoding is sms.Encoding.GSM7 else 2
    per_segment = (_SINGLE if len(segments) == 1 else _PART)[encoding]
    return {
        **found,
        "segments": len(segments),
        "cost": len(segments) * max(1, people),
        "encoding": encoding.value,
        "units": units,
        "per_segment": per_segment,
        "left": per_segment - len(last.body) // octets_per_unit,
        "parts": [each.text for each in segments],
        **explained(text),
    }


def _fields(form: Form) -> dict[str, str]:
    return {name: form.text(name) for name in FIELDS}


def _applications(directory: Directory) -> list[dict[str, str]]:
    first: dict[str, str] = {}
    for number in directory.numbers.values():
        first.setdefault(number.application_id, number.number)
    return [
        {"id": each.id, "name": each.name or each.id, "number": first.get(each.id, "")}
        for each in directory.applications.values()
    ]


def _name(directory: Directory, application_id: str) -> str:
    application = directory.applications.get(application_id)
    return (application.name or application.id) if application is not None else ""
