"""The door of the console."""

import json
from typing import Any, Self
from urllib.parse import unquote, urlencode

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from trebuchet.console import origins, rights, sessions
from trebuchet.console.guard import FORM_MAX, Guard, GuardRules
from trebuchet.model.account import Role, User
from trebuchet.webserver import is_loopback

NOW = 1_767_225_600_000
USERS = {role.value: User(name=role.value, role=role, password_hash=f"hash of {role.value}") for role in Role}
HERE = "http://gateway.example:8080"
OWN = {"Origin": HERE}
LOCAL = "http://127.0.0.1:8080"


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Shows the person, and the body as it came through."""
    request = Request(scope, receive)
    person = scope["state"]["person"]
    shown: Any = {"name": person.name, "role": person.role, "text": person.sees_text, "csrf": person.csrf}
    shown["body"] = (await request.body()).decode()
    response: Response = JSONResponse(shown)
    await response(scope, receive, send)


def rules(**changes: Any) -> GuardRules:
    given = {"login_needed": True, "users": lambda: USERS, "now_ms": lambda: NOW, "secret": "s", **changes}
    return GuardRules(**given)


class Answer:
    def __init__(self, messages: list[Message]) -> None:
        start, *bodies = messages
        self.status_code: int = start["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        self._body = b"".join(message["body"] for message in bodies)

    def json(self) -> Any:
        return json.loads(self._body)


class Client:
    """A browser before the guard: one call is one request, its body in pieces of 64 KiB."""

    def __init__(self, base: str = HERE, **changes: Any) -> None:
        self._host = base.partition("://")[2]
        self._guard = Guard(inner, rules(**changes))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def get(self, target: str, headers: dict[str, Any] | None = None) -> Answer:
        return await self._ask("GET", target, headers or {}, b"")

    async def post(
        self,
        target: str,
        headers: dict[str, Any] | None = None,
        content: str | bytes = b"",
        data: dict[str, str] | None = None,
    ) -> Answer:
        headers = dict(headers or {})
        if data is not None:
            content, headers["Content-Type"] = urlencode(data), "application/x-www-form-urlencoded"
        return await self._ask(
            "POST", target, headers, content.encode() if isinstance(content, str) else content
        )

    async def _ask(self, method: str, target: str, headers: dict[str, Any], body: bytes) -> Answer:
        path, _, query = target.partition("?")
        pieces = [body[start : start + 65536] for start in range(0, len(body), 65536)] or [b""]
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: Message) -> None:
            sent.append(message)

        raw = {"Host": self._host, **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
                for name, value in raw.items()
            ],
        }
        await self._guard(scope, receive, send)
        return Answer(sent)


def session(role: Role) -> str:
    return sessions.sign(USERS[role], NOW)


def as_(role: Role) -> dict[str, str]:
    return {"Cookie": f"theme=night; {sessions.COOKIE}={session(role)}"}


def token(role: Role) -> str:
    return sessions.csrf_token(USERS[role].password_hash, session(role))


def changing(role: Role) -> dict[str, str]:
    return {**as_(role), **OWN, "X-CSRF-Token": token(role)}


# ---- hosts and origins ----


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("127.0.0.1:8080", True),
        ("127.0.0.1", True),
        ("127.9.9.9:1", True),
        ("localhost:8080", True),
        ("LocalHost", True),
        ("localhost.", True),
        ("console.localhost:8080", True),
        ("[::1]:8080", True),
        ("box.internal:8080", True),
        ("BOX.internal", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1:8080@evil.example", False),
        ("evil.example#localhost", False),
        ("localhost, evil.example", False),
        ("127.1", False),
        ("2130706433", False),
        ("0x7f.0.0.1", False),
        ("0.0.0.0", False),
        ("[::]", False),
        ("192.168.0.1", False),
        ("xbox.internal", False),
        (" localhost", False),
        ("localhost\n", False),
        ("localhost:", False),
        ("localhost:x", False),
        ("", False),
    ],
)
def test_hosts_on_loopback(host: str, passes: bool) -> None:
    """Only names of loopback and the allowed ones, in any notation that a browser sends, pass."""
    assert origins.host_allowed({"host": [host]}, ["box.internal"], loopback=True) is passes


@pytest.mark.parametrize("headers", [{}, {"host": []}, {"host": ["localhost", "localhost"]}])
def test_one_host(headers: dict[str, list[str]]) -> None:
    assert not origins.host_allowed(headers, [], loopback=True)
    assert not origins.host_allowed(headers, [], loopback=False)


def test_hosts_elsewhere() -> None:
    """Any, unless some are named; then only these."""
    assert origins.host_allowed({"host": ["any.example"]}, [], loopback=False)
    assert origins.host_allowed({"host": ["box.internal"]}, ["Box.internal"], loopback=False)
    assert not origins.host_allowed({"host": ["any.example"]}, ["box.internal"], loopback=False)


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://a.example:8080", "a.example:8080", True),
        ("http://A.example:8080", "a.EXAMPLE:8080", True),
        ("http://a.example", "a.example:80", True),
        ("https://a.example", "a.example", True),
        ("https://a.example", "a.example:443", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://a.example:8081", "a.example:8080", False),
        ("http://a.example", "a.example:8080", False),
        ("http://b.example:8080", "a.example:8080", False),
        ("http://a.example.evil:8080", "a.example:8080", False),
        ("http://evil@a.example:8080", "a.example:8080", False),
        ("http://a.example:8080/", "a.example:8080", False),
        ("ftp://a.example:8080", "a.example:8080", False),
        ("a.example:8080", "a.example:8080", False),
        ("null", "null", False),
        ("null", "a.example", False),
        ("", "a.example", False),
    ],
)
def test_own_origin(origin: str, host: str, own: bool) -> None:
    assert origins.own_origin({"origin": [origin], "host": [host]}) is own


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"origin": [HERE]}, True),
        ({"origin": [HERE], "sec-fetch-site": ["same-origin"]}, True),
        ({"sec-fetch-site": ["same-origin"]}, True),
        ({}, False),
        ({"sec-fetch-site": ["none"]}, False),
        ({"sec-fetch-site": ["same-site"]}, False),
        ({"sec-fetch-site": ["cross-site"]}, False),
        ({"origin": [HERE], "sec-fetch-site": ["cross-site"]}, False),
        ({"origin": ["null"], "sec-fetch-site": ["same-origin"]}, False),
        ({"origin": [HERE, HERE]}, False),
        ({"sec-fetch-site": ["same-origin", "cross-site"]}, False),
    ],
)
def test_own_page(headers: dict[str, list[str]], own: bool) -> None:
    assert origins.from_own_page({"host": ["gateway.example:8080"], **headers}) is own


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "127.evil.example"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("target", ["/", "/messages", "/messages?text=a%20b&next=//x", "/m/1#pdus"])
def test_local_paths(target: str) -> None:
    assert origins.local_path(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/a\r\nSet-Cookie: x=y",
        "/a\n",
        "/a\\b",
        " /a",
        "/é",
        "/login?next=/login",
        "messages",
    ],
)
def test_other_targets_lead_to_the_first_page(target: str) -> None:
    assert origins.local_path(target) == "/"


# ---- rights ----


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/login", None),
        ("POST", "/login", None),
        ("GET", "/assets/0af/console.css", None),
        ("POST", "/assets/0af/console.css", False),
        ("POST", "/logout", Role.VIEWER),
        ("GET", "/", Role.VIEWER),
        ("GET", "/overview.json", Role.VIEWER),
        ("HEAD", "/messages", Role.VIEWER),
        ("GET", "/messages/1/support.json", Role.VIEWER),
        ("GET", "/events", Role.VIEWER),
        ("POST", "/messages/1/replay", Role.OPERATOR),
        ("POST", "/callbacks/replay", Role.OPERATOR),
        ("POST", "/carriers/a/pause", Role.OPERATOR),
        ("POST", "/handsets/+1/reply", Role.OPERATOR),
        ("GET", "/compose", Role.OPERATOR),
        ("GET", "/compose.json", Role.OPERATOR),
        ("POST", "/compose", Role.OPERATOR),
        ("GET", "/set-up", Role.OPERATOR),
        ("GET", "/set-up.json", Role.OPERATOR),
        ("GET", "/set-up/routes", Role.OPERATOR),
        ("POST", "/set-up/routes", Role.ADMIN),
        ("DELETE", "/set-up/routes/1", Role.ADMIN),
        ("GET", "/set-up/users", Role.ADMIN),
        ("GET", "/set-up/users.json", Role.ADMIN),
        ("GET", "/set-up/audit", Role.ADMIN),
        ("POST", "/", False),
        ("POST", "/unheard-of", False),
        ("POST", "/messagesx", False),
        ("OPTIONS", "/", False),
        ("TRACE", "/login", False),
        ("get", "/", False),
        ("GET", "", Role.VIEWER),
        ("GET", "/login/more", Role.VIEWER),
        ("GET", "/a\n/b", Role.VIEWER),
    ],
)
def test_rights(method: str, path: str, least: Role | bool | None) -> None:
    """What no row names, nobody may; the JSON twin of a page is as open as the page."""
    assert rights.least_role(method, path) == least


def test_each_role_reaches_those_before_it() -> None:
    roles = list(Role)
    assert [[rights.reaches(a, b) for b in roles] for a in roles] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


# ---- all of it, in order ----

pages = pytest.mark.anyio


@pages
async def test_loopback_needs_no_login_but_a_token() -> None:
    async with Client(LOCAL, login_needed=False) as asking:
        shown = (await asking.get("/messages")).json()
        assert (shown["role"], shown["text"]) == ("admin", True)
        own = {"Origin": LOCAL}
        assert (await asking.post("/compose", headers=own)).status_code == 403
        assert (await asking.post("/compose", headers={"X-CSRF-Token": shown["csrf"]})).status_code == 403
        done = await asking.post("/compose", headers={**own, "X-CSRF-Token": shown["csrf"]})
        assert done.status_code == 200


@pages
async def test_loopback_answers_to_no_strange_name() -> None:
    async with Client("http://evil.example", login_needed=False) as asking:
        for path in ("/", "/login", "/events", "/assets/0/console.css"):
            assert (await asking.get(path)).status_code == 421
    async with Client("http://evil.example", login_needed=False, allowed_hosts=["evil.example"]) as asking:
        assert (await asking.get("/")).status_code == 200


@pages
async def test_a_page_leads_to_the_login_and_back() -> None:
    async with Client() as asking:
        answer = await asking.get("/messages?text=a%20b", headers={"Accept": "text/html,*/*"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login?next=%2Fmessages%3Ftext%3Da%2520b"
        slashes = await asking.get("//evil.example", headers={"Accept": "text/html"})
        assert slashes.headers["location"] == "/login?next=%2F"


@pages
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "*/*"])
async def test_who_asks_for_no_page_is_told(accept: str) -> None:
    async with Client() as asking:
        answer = await asking.get("/messages", headers={"Accept": accept})
        assert answer.status_code == 401
        assert "json" in answer.headers["content-type"]


@pages
async def test_a_part_of_a_page_sends_the_whole_page_to_the_login() -> None:
    async with Client() as asking:
        answer = await asking.get(
            "/messages?part=rows", headers={"HX-Request": "true", "Accept": "text/html"}
        )
        assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")


@pages
async def test_the_login_page_is_open_and_its_person_sees_nothing() -> None:
    async with Client() as asking:
        shown = (await asking.get("/login")).json()
        assert (shown["name"], shown["role"], shown["text"], shown["csrf"]) == ("", "viewer", False, "")
        assert (await asking.post("/login", headers=OWN)).status_code == 200
        assert (await asking.post("/login")).status_code == 403
        assert (await asking.post("/login", headers={"Origin": "null"})).status_code == 403
        assert (await asking.post("/login", headers={"Origin": "http://evil.example"})).status_code == 403


@pages
@pytest.mark.parametrize("role", list(Role))
async def test_a_person_is_known_by_the_cookie(role: Role) -> None:
    async with Client() as asking:
        shown = (await asking.get("/messages", headers=as_(role))).json()
        assert (shown["name"], shown["role"]) == (role.value, role.value)
        assert shown["text"] is (role is not Role.VIEWER)
        assert shown["csrf"] == token(role)


@pages
async def test_viewers_may_be_let_see_texts() -> None:
    async with Client(viewers_see_text=True) as asking:
        assert (await asking.get("/", headers=as_(Role.VIEWER))).json()["text"] is True


@pages
async def test_a_session_ends() -> None:
    async with Client(now_ms=lambda: NOW + 1000, session_ms=1000) as asking:
        assert (await asking.get("/", headers=as_(Role.ADMIN))).status_code == 401


@pages
async def test_roles_are_kept() -> None:
    async with Client() as asking:
        for role, path, status in (
            (Role.VIEWER, "/messages/1/replay", 403),
            (Role.OPERATOR, "/messages/1/replay", 200),
            (Role.OPERATOR, "/set-up/users", 403),
            (Role.ADMIN, "/set-up/users", 200),
            (Role.ADMIN, "/unheard-of", 403),
        ):
            answer = await asking.post(path, headers=changing(role))
            assert (role, path, answer.status_code) == (role, path, status)


@pages
@pytest.mark.parametrize(
    "change",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "é".encode()},
        {"X-CSRF-Token": token(Role.OPERATOR)},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_no_change_without_token_and_origin(change: dict[str, Any]) -> None:
    async with Client() as asking:
        headers: dict[str, Any] = {**changing(Role.ADMIN), **change}
        assert (await asking.post("/set-up/routes", headers=headers)).status_code == 403
        headers = changing(Role.ADMIN)
        del headers["X-CSRF-Token"]
        assert (
            await asking.post("/set-up/routes?_csrf=" + token(Role.ADMIN), headers=headers)
        ).status_code == 403


@pages
async def test_a_form_brings_its_token_and_is_read_again() -> None:
    async with Client() as asking:
        headers = {**as_(Role.ADMIN), **OWN}
        form = {"a": "b", "_csrf": token(Role.ADMIN), "c": "ü"}
        answer = await asking.post("/set-up/routes", data=form, headers=headers)
        assert answer.json()["body"] == f"a=b&_csrf={token(Role.ADMIN)}&c=%C3%BC"
        twice = f"_csrf={token(Role.ADMIN)}&_csrf={token(Role.ADMIN)}"
        urlencoded = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        refused = await asking.post("/set-up/routes", content=twice, headers=urlencoded)
        assert refused.status_code == 403
        refused = await asking.post(
            "/set-up/routes",
            content=f"_csrf={token(Role.ADMIN)}",
            headers={**headers, "Content-Type": "text/plain"},
        )
        assert refused.status_code == 403


@pages
@pytest.mark.parametrize("body", ["x=" + "y" * FORM_MAX, "&" * 2000, "x=\xff"])
async def test_forms_that_cannot_be_read_bring_no_token(body: str) -> None:
    async with Client() as asking:
        headers = {**as_(Role.ADMIN), **OWN, "Content-Type": "application/x-www-form-urlencoded"}
        content = f"{body}&_csrf={token(Role.ADMIN)}".encode("latin-1")
        assert (await asking.post("/set-up/routes", content=content, headers=headers)).status_code == 403


@pages
async def test_readers_from_elsewhere() -> None:
    """A link from elsewhere leads to a page; scripts of other sites read nothing."""
    async with Client() as asking:
        person = as_(Role.VIEWER)
        for path, more, status in (
            ("/messages", {"Sec-Fetch-Site": "cross-site"}, 200),
            ("/messages", {"Origin": "http://evil.example"}, 403),
            ("/messages", {"Origin": "null"}, 403),
            ("/messages", OWN, 200),
            ("/events", {"Sec-Fetch-Site": "cross-site"}, 403),
            ("/events", {"Sec-Fetch-Site": "same-origin"}, 200),
            ("/messages", {"Accept": "text/event-stream", "Sec-Fetch-Site": "same-site"}, 403),
        ):
            answer = await asking.get(path, headers={**person, **more})
            assert (path, more, answer.status_code) == (path, more, status)


@pages
async def test_no_other_way_in() -> None:
    """A web socket is closed before anything behind the door hears of it."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await Guard(inner, rules())({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
