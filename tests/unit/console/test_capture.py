"""The capture file that the console makes of the PDUs on a page."""

import pytest

from trebuchet.api.problems import Problem
from trebuchet.console.capture import written
from trebuchet.protocols import pcap


def test_each_bind_is_a_connection() -> None:
    """The file is what the two connections hold, in the order of the lines."""
    made = written("1000 out acme/0 00ff\n1001 in acme/1 01\n1002 in acme/0 02\n")
    first, second = pcap.Stream(0), pcap.Stream(1)
    assert made == (
        pcap.header()
        + first.packets(1000, True, b"\x00\xff")
        + second.packets(1001, False, b"\x01")
        + first.packets(1002, False, b"\x02")
    )


@pytest.mark.parametrize(
    "line", ["x", "1 out acme/0 0", "one out acme/0 00", "-1 out a 00", "9" * 30 + " in a 00"]
)
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(Problem):
        written(line)
