"""One client connection, fed octets by hand: what any peer may write, cut anywhere."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.webclient.connection import DROPPED_MAX, Answer, Connection, Request
from trebuchet.webclient.errors import ConnectionLost, TimedOut, WebError

pytestmark = pytest.mark.anyio


class Wire(asyncio.Transport):
    """The end of the wire: keeps what was written, notes an abort."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True


def begin(answer_max: int = 10) -> tuple[Connection, Wire, asyncio.Future[Answer]]:
    """A connection with a request under way."""
    wire = Wire()
    connection = Connection("peer:80", asyncio.get_running_loop(), lambda _: None)
    connection.connection_made(wire)
    answer = connection.exchange(Request(b"POST / HTTP/1.1\r\n\r\n", 100.0, 110.0, answer_max))
    return connection, wire, answer


async def test_a_request_is_one_write() -> None:
    """The whole request goes out in one piece, so it is one packet and one system call."""
    _, wire, answer = begin()
    assert wire.written == [b"POST / HTTP/1.1\r\n\r\n"]
    answer.cancel()


async def test_a_broken_connection_is_not_the_end_of_an_answer() -> None:
    """An answer without length whose connection breaks may lack octets, and is an error."""
    connection, _, answer = begin()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nsome")
    connection.connection_lost(ConnectionResetError())
    with pytest.raises(ConnectionLost, match=r"^peer:80 broke the connection in the middle of its answer$"):
        await answer


async def test_an_expired_request_says_how_long_it_waited() -> None:
    """The text names the peer and the time-out, and the connection is given up."""
    connection, wire, answer = begin()
    connection.expire()
    with pytest.raises(TimedOut, match=r"^no complete answer from peer:80 within 10 s$"):
        await answer
    assert wire.aborted


async def test_a_closed_connection_takes_no_request() -> None:
    """What is closed says so, and counts as unanswered."""
    connection, _, first = begin()
    connection.data_received(b"HTTP/1.1 204 No\r\n\r\n")
    await first
    connection.connection_lost(None)
    with pytest.raises(ConnectionLost):
        await connection.exchange(Request(b"POST", 0.0, 1.0, 1))
    assert not connection.answer_begun


_OCTETS = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK\r\n",
                b"HTTP/1.0 404 No\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\n",
                b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                b"Content-Length: 3\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Connection: close\r\n",
                b"\r\n",
                b"3\r\nabc\r\n",
                b"0\r\n\r\n",
                b"abc",
                b"x" * (DROPPED_MAX // 2),
            ]
        ),
    ),
    max_size=12,
)


@given(pieces=_OCTETS, ends_in_error=st.booleans(), answer_max=st.integers(0, 5))
async def test_whatever_a_peer_writes_there_is_one_outcome(
    pieces: list[bytes], ends_in_error: bool, answer_max: int
) -> None:
    """Any octets, cut anywhere, then the end: one answer within its bounds, or one WebError."""
    connection, wire, answer = begin(answer_max)
    for piece in pieces:
        if not wire.aborted:
            connection.data_received(piece)
    connection.connection_lost(ConnectionResetError() if ends_in_error else None)
    assert answer.done()
    assert connection.closed
    try:
        outcome = await answer
    except WebError:
        return
    assert outcome.status >= 200
    assert len(outcome.body) <= answer_max
    assert outcome.whole or len(outcome.body) == answer_max


@given(cuts=st.lists(st.integers(0, 200), max_size=8))
async def test_cuts_do_not_change_the_answer(cuts: list[int]) -> None:
    """The same octets give the same answer, however the network cuts them."""
    octets = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Y: z\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n"
    )
    connection, _, answer = begin(8)
    edges = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    for start, end in pairwise(edges):
        connection.data_received(octets[start:end])
    outcome = await answer
    assert (outcome.status, outcome.body, outcome.whole) == (200, b"hello wo", False)
    assert outcome.headers == [(b"x-y", b"z"), (b"transfer-encoding", b"chunked")]
    assert connection.reusable
