"""Forms as a request brings them, with the files that were chosen: bounded, and read once."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from trebuchet.api import problems

FORM_MAX: Final = 262_144  # octets of a form without files
_FIELDS_MAX: Final = 100


class Upload(msgspec.Struct, frozen=True):
    """A file as the browser sent it; `content_type` is only what it says."""

    name: str  # without folders
    content_type: str
    octets: bytes


class Form:
    """The fields of a form."""

    def __init__(self, fields: FormData, uploads: dict[str, list[Upload]]) -> None:
        self._fields = fields
        self._uploads = uploads

    def text(self, name: str) -> str:
        """A field, with the line ends that people mean; empty if it is not there."""
        value = self._fields.get(name)
        return value.replace("\r\n", "\n") if isinstance(value, str) else ""

    def files(self, name: str) -> Sequence[Upload]:
        """Files that hold something, in order."""
        return self._uploads.get(name, [])


async def read(request: Request, *, octets_max: int = FORM_MAX, files_max: int = 0) -> Form:
    """The form in a request. Raises Problem 400, 413."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or len(length) > 18:
        raise problems.malformed("A form says how long it is")
    if int(length) > octets_max:
        raise problems.too_large(octets_max)
    try:
        fields = await request.form(max_files=files_max, max_fields=_FIELDS_MAX, max_part_size=octets_max)
    except MultiPartException as error:
        raise problems.malformed(error.message) from None
    uploads: dict[str, list[Upload]] = {}
    for name, value in fields.multi_items():
        if isinstance(value, UploadFile) and value.size:
            file_name = (value.filename or "").replace("\\", "/").rpartition("/")[2]
            octets = await value.read()
            uploads.setdefault(name, []).append(Upload(file_name, value.content_type or "", octets))
    return Form(fields, uploads)


async def octets_of(file: Upload) -> AsyncIterator[bytes]:
    """A file as whoever keeps it reads it."""
    yield file.octets
