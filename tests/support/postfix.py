"""Debian's Postfix as the relay between two of ours: it takes mail on loopback and passes all of it on to one port.

It starts as root only, whose daemons then run as its own user.
"""

import asyncio
import os
import shutil
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which

from support.peers import TIMEOUT_S
from support.ports import free_port

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = relay.example
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{onwards}
smtpd_recipient_restrictions = permit_mynetworks, reject
disable_dns_lookups = yes
smtp_host_lookup = native
alias_maps =
alias_database =
local_recipient_maps =
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtp_tls_security_level = encrypt
smtp_tls_CAfile = {certificate}
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@asynccontextmanager
async def relaying(onwards: int, certificate: str, key: str) -> AsyncIterator[int]:
    """Postfix with TLS on both sides, by this certificate, that passes mail on to the port `onwards`; its own port."""
    program = which("postfix", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    assert program is not None
    # Not in the folder of the test: Postfix's user has to get there, too.
    with tempfile.TemporaryDirectory(prefix="postfix-") as name:
        folder, port = Path(name), free_port()
        configuration = _write(folder, {"port": port, "onwards": onwards}, certificate, key)
        command = [program, "-c", str(configuration)]
        await _run(*command, "start")
        try:
            yield port
        finally:
            await _run(*command, "stop")


async def _run(*command: str) -> None:
    """Wait until Postfix has done it, which means listening for `start`, and nothing left of it for `stop`."""
    # Not a pipe: its daemons would keep it open.
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    async with asyncio.timeout(TIMEOUT_S):
        assert await process.wait() == 0, f"{command} failed"


def _write(folder: Path, ports: dict[str, int], certificate: str, key: str) -> Path:
    """Everything that Postfix needs to start; where its configuration is."""
    folder.chmod(0o755)
    configuration = folder / "configuration"
    for part in (configuration, folder / "spool", folder / "data"):
        part.mkdir()
    shutil.chown(folder / "data", "postfix")
    values = {"folder": folder, "certificate": folder / "certificate.pem", "key": folder / "key.pem", **ports}
    shutil.copy(certificate, folder / "certificate.pem")
    shutil.copy(key, folder / "key.pem")
    (configuration / "main.cf").write_text(MAIN.format(**values))
    (configuration / "master.cf").write_text(MASTER.format(**values))
    return configuration
