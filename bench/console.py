"""What the console costs: its pages over many messages, and the accept rate while somebody watches.

    python bench/console.py [--messages 1000000] [--rate 1000] [--seconds 20] [--pages 3]

The messages are 20,000 real lives, copied in the database under other ids until there are enough. A page's time is that
of the server: the request's on a kept connection of loopback. A watched gateway has so many list pages open, each of
which fetches its rows again whenever it is told that something changed.
"""

import argparse
import http.client
import json
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.run import Beside, Gateway, free_port, load

_REAL = 20_000
_TABLES = {"messages": "id", "deliveries": "message_id", "segments": "message_id"}
# What a person looks for: the newest, a rare tag, a number, a text that is nowhere, failures.
_QUESTIONS = {
    "list": "/messages?part=rows",
    "older": "/messages?part=rows&before={middle}",
    "number": "/messages?part=rows&number=" + quote("+12025550123"),
    "tag": "/messages?part=rows&tag=nowhere",
    "text": "/messages?part=rows&text=nowhere",
    "state": "/messages?part=rows&state=FAILED",
    "one": "/messages/{middle}?part=life",
    "overview": "/?part=figures",
}
_ASKED = 20


def fill(path: Path, messages: int) -> str:
    """Copy the lives that are there until there are `messages`. Returns an id in the middle."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    real: int = database.execute("SELECT count(*) FROM messages").fetchone()[0]
    first = int(database.execute("SELECT min(id) FROM messages").fetchone()[0][:13])
    for copy in range(1, messages // real):
        for table, key in _TABLES.items():
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            values = [
                f"printf('%013d', CAST(substr({key}, 1, 13) AS INTEGER) - {copy * 3_600_000}) || substr({key}, 14)"
                if column == key
                else f'"{column}"'
                for column in columns
            ]
            names = ", ".join(f'"{column}"' for column in columns)
            database.execute(
                f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {table} WHERE {key} >= ?",
                (str(first),),
            )
        database.commit()
    middle: str = database.execute(
        "SELECT id FROM messages ORDER BY id LIMIT 1 OFFSET ?", (messages // 2,)
    ).fetchone()[0]
    database.close()
    return middle


def pages(messages: int) -> dict[str, object]:
    """The time of each question, in milliseconds: the median and the longest."""
    with tempfile.TemporaryDirectory() as folder:
        sink = Beside("bench.sink", str(sink_port := free_port()), str(_REAL))
        gateway = Gateway(Path(folder), sink_port)
        load(gateway.port, _REAL, None)
        sink.figures()
        gateway.stop()
        middle = fill(Path(folder) / "trebuchet.sqlite3", messages)
        gateway = Gateway(Path(folder), sink_port)
        while True:  # the simulated carrier gives the receipts of the last hour again
            cpu_s = gateway.cpu_s()
            time.sleep(1)
            if gateway.cpu_s() - cpu_s < 0.05:
                break
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
        found: dict[str, object] = {"mode": "pages", "messages": messages}
        for name, path in _QUESTIONS.items():
            taken = []
            for _ in range(_ASKED):
                began_s = time.perf_counter()
                connection.request("GET", path.format(middle=middle), headers={"Accept": "text/html"})
                answer = connection.getresponse()
                answer.read()
                taken.append((time.perf_counter() - began_s) * 1000)
                if answer.status != 200:
                    raise SystemExit(f"{path} was answered {answer.status}")
            found[name] = f"{statistics.median(taken):.1f} ms, at most {max(taken):.1f}"
        gateway.stop()
        sink.stop()
    return found


class Watcher:
    """What a browser with a list page open does: fetches the rows when the stream says that something changed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self.fetched = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        stream = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        stream.request("GET", "/events")
        lines = stream.getresponse()
        rows = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._over.is_set() and (line := lines.readline()):
            if line.startswith(b"data:"):
                rows.request("GET", "/messages?part=rows", headers={"Accept": "text/html"})
                rows.getresponse().read()
                self.fetched += 1

    def stop(self) -> None:
        self._over.set()


def watched(rate: float, seconds: float, watchers: int) -> dict[str, object]:
    """Latency, rate and CPU of accepting at a fixed rate and at saturation, with so many pages open."""
    count = int(rate * seconds)
    found: dict[str, object] = {"mode": "watched", "pages": watchers}
    for offered in (rate, None):
        with tempfile.TemporaryDirectory() as folder:
            sink = Beside("bench.sink", str(sink_port := free_port()), str(count))
            gateway = Gateway(Path(folder), sink_port)
            load(gateway.port, 1000, None, warm=True)
            watching = [Watcher(gateway.port) for _ in range(watchers)]
            cpu_s = gateway.cpu_s()
            figures = load(gateway.port, count, offered)
            sink.figures()
            name = "saturation" if offered is None else f"{offered:g}/s"
            found[name] = {
                "accepted_per_s": figures["per_s"],
                "cpu_us_per_message": round((gateway.cpu_s() - cpu_s) / count * 1e6),
                "fetched": sum(watcher.fetched for watcher in watching),
                **{key: value for key, value in figures.items() if key.startswith("p")},
            }
            for watcher in watching:
                watcher.stop()
            gateway.stop()
            sink.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pages", type=int, default=3)
    given = parser.parse_args()
    for watchers in (0, given.pages):
        print(json.dumps(watched(given.rate, given.seconds, watchers)), flush=True)
    if given.messages:
        print(json.dumps(pages(given.messages)), flush=True)


if __name__ == "__main__":
    main()
