"""Which gateway a command talks to, and with which credentials: option, else environment, else data folder."""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from trebuchet.cli.client import Client
from trebuchet.cli.outcome import Code, CommandError

DEFAULT_URL: Final = "http://127.0.0.1:8080"
FILE_MAX: Final = 65_536

URL: Final = "TREBUCHET_URL"
ADMIN_TOKEN: Final = "TREBUCHET_ADMIN_TOKEN"  # noqa: S105  the name of a variable
ACCOUNT: Final = "TREBUCHET_ACCOUNT"
TOKEN: Final = "TREBUCHET_TOKEN"  # noqa: S105  the name of a variable
SECRET: Final = "TREBUCHET_SECRET"  # noqa: S105  the name of a variable
DATA: Final = "TREBUCHET_SERVER_DATA_DIR"  # the setting's own variable, so that both find one folder

ADMIN_TOKEN_FILE: Final = "admin-token"  # noqa: S105  the name of a file
FIRST_ACCOUNT_FILE: Final = "first-account.json"


class Login(NamedTuple):
    """Who accepts a message: the account, its credentials, and what `send` uses if it is not told."""

    account: str
    token: str
    secret: str
    application: str | None = None
    number: str | None = None

    def __repr__(self) -> str:
        return f"Login({self.account!r})"


def data_directory(option: Path | None, environ: Mapping[str, str]) -> Path:
    """The data folder of the gateway whose credentials are used."""
    if option is not None:
        return option
    if environ.get(DATA):
        return Path(environ[DATA])
    from platformdirs import user_data_path

    return user_data_path("trebuchet", False)


def admin_client(
    url: str | None, token: str | None, data: Path | None, environ: Mapping[str, str] = os.environ
) -> Client:
    """A client of the admin API. Blocks on the file. Raises CommandError if there is no token."""
    chosen = token or environ.get(ADMIN_TOKEN)
    if not chosen:
        path = data_directory(data, environ) / ADMIN_TOKEN_FILE
        chosen = (read_file(path) or "").strip()
        if not chosen:
            raise CommandError(
                Code.REFUSED,
                f"no admin token: set {ADMIN_TOKEN}, or give the gateway's folder with --data ({path} is not there)",
            )
    if not (chosen.isascii() and chosen.isprintable()):
        raise CommandError(Code.REFUSED, "the admin token holds characters that no token has")
    return Client(gateway_url(url, environ), f"Bearer {chosen}")


def account_login(
    account: str | None,
    token: str | None,
    secret: str | None,
    data: Path | None,
    environ: Mapping[str, str] = os.environ,
) -> Login:
    """The credentials for the public API. Blocks on the file. Raises CommandError if they are incomplete.

    Options and environment count when all three are given; none of them means the first account's file.
    """
    given = (
        account or environ.get(ACCOUNT),
        token or environ.get(TOKEN),
        secret or environ.get(SECRET),
    )
    if all(given):
        return Login(*(part or "" for part in given))
    if any(given):
        names = [n for n, part in zip((ACCOUNT, TOKEN, SECRET), given, strict=True) if not part]
        raise CommandError(Code.REFUSED, f"credentials are incomplete: set {' and '.join(names)} too")
    path = data_directory(data, environ) / FIRST_ACCOUNT_FILE
    content = read_file(path)
    if content is None:
        raise CommandError(
            Code.REFUSED,
            f"no credentials: set {ACCOUNT}, {TOKEN} and {SECRET}, or give the gateway's folder with --data "
            f"({path} is not there)",
        )
    return _first_account(path, content)


def _first_account(path: Path, content: str) -> Login:
    try:
        first = json.loads(content)
        return Login(
            account=first["account"],
            token=first["token"],
            secret=first["secret"],
            application=first["application"],
            number=first["numbers"][0],
        )
    except (ValueError, LookupError, TypeError) as error:
        raise CommandError(Code.REFUSED, f"{path} does not hold the first account: remove it") from error


def account_client(url: str | None, login: Login, environ: Mapping[str, str] = os.environ) -> Client:
    """A client of the public API."""
    pair = base64.b64encode(f"{login.token}:{login.secret}".encode()).decode()
    return Client(gateway_url(url, environ), f"Basic {pair}")


def gateway_url(option: str | None, environ: Mapping[str, str]) -> str:
    return option or environ.get(URL) or DEFAULT_URL


def read_file(path: Path) -> str | None:
    """The text of a small file that holds credentials, None if there is none.

    Raises CommandError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(FILE_MAX).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(Code.REFUSED, f"{path} cannot be read: {error.strerror}") from error
