"""The HTTP server: uvicorn in our event loop, without its signal handlers."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEEP_ALIVE_S = 75


class HttpServer:
    """Answers requests from `start` to `stop`; each once.

    `stopping` is the answer to a request that a stop waits for no longer. TLS is spoken if there is a certificate
    file; raises OSError and ssl.SSLError if it cannot be used.
    """

    def __init__(
        self,
        application: ASGIApp,
        protocol: type[asyncio.Protocol],
        *,
        grace_s: float,
        stopping: Response | None = None,
        certificate_file: str = "",
        key_file: str = "",
    ) -> None:
        config = uvicorn.Config(
            _told_of_the_end(application, stopping or Response(status_code=503)),
            http=protocol,
            ssl_certfile=certificate_file or None,
            ssl_keyfile=key_file or None,
            loop="none",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, int(grace_s)),
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self, *sockets: socket.socket) -> None:
        """Answer on sockets that `listen` gave."""
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(sockets=list(sockets)))
        await self._server.answering.wait()

    async def stop(self) -> None:
        """Take no more connections and wait for the answers under way, at most `grace_s`. May be called twice."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    """Leaves signals alone, and says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()


def _told_of_the_end(app: ASGIApp, stopping: Response) -> ASGIApp:
    """Answers 503 to a request that is still under way when a stop waits no longer.

    uvicorn cancels it then; of that it would make a trace in the log, and no answer.
    """

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, receive, send_on)
        except asyncio.CancelledError:
            if not started:
                await stopping(scope, receive, send)

    return told


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening address, or OSError that says what to do. `shared`: other processes of this user listen there too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise OSError(
            error.errno, f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from None
    return sock


def url_of(host: str, sock: socket.socket) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{sock.getsockname()[1]}"


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
