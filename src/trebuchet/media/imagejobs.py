"""What the gateway and its image workers say to each other: frames of a length and a MessagePack value.

The length is four octets, big-endian. A worker greets with an empty frame once it can work.
"""

import msgspec

from trebuchet.media.images import BadImage, CannotFit, Fitted, ImageLimit

HEADER = 4
GREETING = bytes(HEADER)


class Job(msgspec.Struct, frozen=True):
    """A picture to be made to fit."""

    octets: bytes
    content_type: str
    limit: ImageLimit


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The picture that fits."""

    octets: bytes
    content_type: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why there is none: the words of BadImage, or of CannotFit."""

    bad: bool
    words: str


def frame(value: Job | Done | Failed) -> bytes:
    """The frame of a value."""
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(HEADER, "big") + body


def job_of(body: bytes) -> Job:
    """The job in the body of a frame."""
    return msgspec.msgpack.decode(body, type=Job)


def picture_of(body: bytes) -> Fitted:
    """The picture in the body of an answer's frame. Raises CannotFit or BadImage when it says so instead."""
    outcome = msgspec.msgpack.decode(body, type=Done | Failed)
    if isinstance(outcome, Done):
        return Fitted(outcome.octets, outcome.content_type)
    raise (BadImage if outcome.bad else CannotFit)(outcome.words)
