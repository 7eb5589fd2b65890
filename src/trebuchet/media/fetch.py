"""The content of a message's media URLs, before delivery.

Our own objects are read from the store. Everything else is fetched by the gateway's one HTTP client, so the
rules for addresses hold at every hop. What comes is judged by its octets, and one URL that a thousand messages
name at once is fetched once.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from urllib.parse import unquote, unquote_to_bytes

import msgspec

from trebuchet.errors import TrebuchetError
from trebuchet.media.burst import Burst, Closed
from trebuchet.media.sniff import ALLOWED, extension_for, sniff
from trebuchet.webclient import (
    AddressRefused,
    RedirectRefused,
    TooLarge,
    UrlRefused,
    WebClient,
    WebError,
)

UNREADABLE, TOO_LARGE, WRONG_TYPE = 4410, 4411, 4412

# A failure is kept for the rest of the burst only, so that a retry asks again.
_FAILURE_KEEP_S = 2.0
# Error answers say by their status whether to come back.
_MAY_PASS = frozenset({408, 425, 429})
# The same URL again leads to the same refusal. All other failures of the client are a peer's, and may pass.
_STAYS = (UrlRefused, AddressRefused, RedirectRefused)

_USERINFO = re.compile(r"(https?://)([^/?#]*)@([^/?#@]*)(.*)", re.IGNORECASE | re.DOTALL)
_NAME_MAX = 100
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f"/\\<>:|?*]+')
# Extensions that are as good as the usual one.
_SYNONYMS = {
    "jpeg": "jpg",
    "jpe": "jpg",
    "tif": "tiff",
    "mpeg": "mpg",
    "3gpp": "3gp",
    "text": "txt",
    "smi": "smil",
}


class Fetched(msgspec.Struct, frozen=True):
    """One file of a message. `content_type` is what the octets are, whatever the server said."""

    name: str
    """The last part of the URL's path, with an extension that fits the content. Not unique."""
    content_type: str
    octets: bytes


class Unavailable(TrebuchetError):
    """A file of a message cannot be had. `code` is 4410, 4411 or 4412 of `model.errorcodes`.

    `words` hold no user name, password or query of the URL. `temporary` says whether the same URL may do later.
    """

    def __init__(self, code: int, words: str, *, temporary: bool = False) -> None:
        super().__init__(words)
        self.code = code
        self.words = words
        self.temporary = temporary


Own = Callable[[str, str, int], Awaitable[Fetched | None]]
"""What our own store has for an account and a URL; None when the URL is not one of ours.

Raises Unavailable also for what is another account's, and for more octets than the number given.
"""


class Fetcher:
    """Fetches media URLs, each once per burst.

    - A file has at most `file_max` octets, is fetched within `timeout_s`, over at most `redirects_max` redirects.
    - At most `under_way_max` files are fetched at a time, so that times `file_max` bounds the memory; more wait
      for as long as they may take.
    - What was fetched is kept for `keep_s` within `kept_octets_max`.

    User name and password of a URL are for its origin, by Basic authentication (RFC 7617). Must be made and
    used within one running event loop.
    """

    def __init__(
        self,
        client: WebClient,
        own: Own,
        *,
        file_max: int,
        timeout_s: float = 30.0,
        redirects_max: int = 3,
        under_way_max: int = 16,
        keep_s: float = 30.0,
        kept_octets_max: int = 32 << 20,
        user_agent: str = "Trebuchet",
    ) -> None:
        self._client = client
        self._own = own
        self._file_max = file_max
        self._timeout_s = timeout_s
        self._redirects_max = redirects_max
        self._turns = asyncio.Semaphore(under_way_max)
        self._headers = ((b"Accept", b"*/*"), (b"User-Agent", user_agent.encode("latin-1", "replace")))
        self._burst: Burst[Fetched | Unavailable] = Burst(
            weigh=lambda outcome: len(outcome.octets) if isinstance(outcome, Fetched) else 0,
            keep_s=lambda outcome: keep_s if isinstance(outcome, Fetched) else min(keep_s, _FAILURE_KEEP_S),
            octets_max=kept_octets_max,
            now_s=asyncio.get_running_loop().time,
        )

    async def fetch(
        self, urls: Sequence[str], account_id: str, *, total_max: int | None = None
    ) -> list[Fetched]:
        """The files in the order of `urls`, together at most `total_max` octets; of our own, those of the account.

        Raises Unavailable when one cannot be had: for the first failure that stays, else for the first one.
        """
        outcomes = await asyncio.gather(*[self._file(url, account_id) for url in urls])
        failures = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
        if failures:
            first = min(failures, key=lambda failure: failure.temporary)
            raise Unavailable(first.code, first.words, temporary=first.temporary)
        files = [outcome for outcome in outcomes if isinstance(outcome, Fetched)]
        total = sum(len(file.octets) for file in files)
        if total_max is not None and total > total_max:
            raise Unavailable(
                TOO_LARGE, f"the media have {total} octets together; at most {total_max} are taken"
            )
        return files

    async def close(self) -> None:
        """End what is under way: it is Unavailable for now. May be called twice."""
        await self._burst.close()

    async def _file(self, url: str, account_id: str) -> Fetched | Unavailable:
        try:
            own = await self._own(account_id, url, self._file_max)
            if own is not None:
                return judge(own.name, own.octets, own.content_type, self._file_max)
            return await self._burst.get(url, partial(self._download, url))
        except Unavailable as failure:
            return failure
        except Closed:
            return Unavailable(UNREADABLE, "media are no longer fetched", temporary=True)

    async def _download(self, url: str) -> Fetched | Unavailable:
        try:
            bare, credentials = split_credentials(url)
            async with asyncio.timeout(self._timeout_s):
                await self._turns.acquire()
        except Unavailable as failure:
            return failure
        except TimeoutError:
            return Unavailable(UNREADABLE, f"no fetch came free within {self._timeout_s:g} s", temporary=True)
        try:
            document = await self._client.get(
                bare,
                (*self._headers, *credentials),
                timeout_s=self._timeout_s,
                answer_max=self._file_max,
                redirects_max=self._redirects_max,
            )
        except WebError as error:
            return unavailable(error)
        finally:
            self._turns.release()
        if not 200 <= document.status < 300:
            return refused(document.status)
        try:
            return judge(last_part(bare), document.body, document.content_type, self._file_max)
        except Unavailable as failure:
            return failure


def split_credentials(url: str) -> tuple[str, tuple[tuple[bytes, bytes], ...]]:
    """The URL without user name and password, and the header that says them: none or one.

    Raises Unavailable where it cannot be told which part is the host.
    """
    parts = _USERINFO.fullmatch(url)
    if parts is None:
        return url, ()
    scheme, userinfo, host, rest = parts.groups()
    if "@" in userinfo:
        raise Unavailable(UNREADABLE, "the URL has more than one @ before its path")
    user, _, password = userinfo.partition(":")
    token = base64.b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password))
    return f"{scheme}{host}{rest}", ((b"Authorization", b"Basic " + token),)


def last_part(url: str) -> str:
    """What a URL without user name calls the file: the last part of its path, decoded; may be empty."""
    path = re.split("[?#]", url, maxsplit=1)[0].partition("://")[2].partition("/")[2]
    return unquote(path.rpartition("/")[2])


def name_for(name: str, content_type: str) -> str:
    """A file name like `name`, without folders and what file systems mind, of at most 100 characters.

    The extension is that of the content, because handsets go by it.
    """
    plain = _NOT_IN_NAMES.sub("_", name.rpartition("/")[2]).strip(" ._")
    stem, _, extension = plain.rpartition(".")
    usual = extension_for(content_type)
    if stem and _SYNONYMS.get(extension.lower(), extension.lower()) == usual:
        return f"{stem[: _NAME_MAX - len(extension) - 1]}.{extension}"
    stem = stem or plain or "media"
    return f"{stem[: _NAME_MAX - len(usual) - 1]}.{usual}"


def judge(name: str, octets: bytes, claimed: str, file_max: int) -> Fetched:
    """The file, under a name that fits it. Raises Unavailable by size and by type."""
    if len(octets) > file_max:
        raise too_large(len(octets), file_max)
    if not octets:
        raise Unavailable(UNREADABLE, "a file is empty")
    content_type = sniff(octets, claimed)
    if content_type not in ALLOWED:
        raise Unavailable(WRONG_TYPE, f"a file is {content_type}, which cannot be delivered")
    return Fetched(name_for(name, content_type), content_type, octets)


def too_large(size: int, file_max: int) -> Unavailable:
    """What a file with too many octets means to the message."""
    return Unavailable(TOO_LARGE, f"a file has {size} octets; at most {file_max} are taken")


def unavailable(error: WebError) -> Unavailable:
    """What a failure of the HTTP client means to the message."""
    if isinstance(error, TooLarge):
        return Unavailable(TOO_LARGE, str(error))
    return Unavailable(UNREADABLE, str(error), temporary=not isinstance(error, _STAYS))


def refused(status: int) -> Unavailable:
    """What an answer without the file means to the message."""
    return Unavailable(
        UNREADABLE,
        f"the server answered with status {status}",
        temporary=status >= 500 or status in _MAY_PASS,
    )
