"""With which credentials a command talks to the gateway: those given, else those in its data folder."""

import base64
import json
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


def data_directory(option: Path | None) -> Path:
    """The data folder of the gateway whose credentials are used."""
    if option is not None:
        return option
    from platformdirs import user_data_path

    return user_data_path("trebuchet", False)


def admin_client(url: str, token: str | None, data: Path | None) -> Client:
    """A client of the admin API. Blocks on the file. Raises CommandError if there is no token."""
    token = token or _kept_token(data)
    if not token:
        raise CommandError(
            Code.REFUSED,
            f"no admin token: set {ADMIN_TOKEN}, or name the gateway's folder with --data"
            f" ({data_directory(data) / ADMIN_TOKEN_FILE} is not there)",
        )
    return _bearer_client(url, token)


def simulator_client(url: str, token: str | None, data: Path | None) -> Client:
    """A client of the simulator's API, with the admin token if there is one. Blocks on the file."""
    token = token or _kept_token(data)
    return _bearer_client(url, token) if token else Client(url, "")


def _kept_token(data: Path | None) -> str:
    return (read_file(data_directory(data) / ADMIN_TOKEN_FILE) or "").strip()


def _bearer_client(url: str, token: str) -> Client:
    if not (token.isascii() and token.isprintable()):
        raise CommandError(Code.REFUSED, "the admin token holds characters that no token has")
    return Client(url, f"Bearer {token}")


def account_login(account: str | None, token: str | None, secret: str | None, data: Path | None) -> Login:
    """The credentials for the public API. Blocks on the file. Raises CommandError if they are incomplete.

    They count when all three are given; none of them means those of the first account, from its file.
    """
    if account and token and secret:
        return Login(account, token, secret)
    given = {ACCOUNT: account, TOKEN: token, SECRET: secret}
    if any(given.values()):
        missing = " and ".join(name for name, value in given.items() if not value)
        raise CommandError(Code.REFUSED, f"the credentials are incomplete: set {missing} too")
    path = data_directory(data) / FIRST_ACCOUNT_FILE
    content = read_file(path)
    if content is None:
        raise CommandError(
            Code.REFUSED,
            f"no credentials: set {ACCOUNT}, {TOKEN} and {SECRET}, or name the gateway's folder with --data"
            f" ({path} is not there)",
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


def account_client(url: str, login: Login) -> Client:
    """A client of the public API."""
    pair = base64.b64encode(f"{login.token}:{login.secret}".encode()).decode()
    return Client(url, f"Basic {pair}")


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
