"""CPU per message of the gateway's own process, rates, batch sizes and memory. `make bench`.

    python bench/run.py [accept] [life] [smpp] [memory] [drain] [--sizes 10000,100000] [--rate 1000] [--queued 1000000]
        [--postgres]

accept   POST to 202, durable, the carrier paused: nothing but taking messages
life     POST, simulated carrier, receipt, callback answered by a local sink
smpp     POST, submit_sm, response, receipt, callback: real sockets to a fast fake SMSC and a local sink
memory   resident memory with messages queued for a paused carrier
drain    messages queued while the SMSC is down; then it comes up: how fast they go out, and the memory

The gateway, the load, the SMSC and the sink are processes of their own on this machine; CPU is user + system of
the gateway's process only, from /proc, so the others' work is not in it though they share the cores.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parent.parent))

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
KEEP_PDUS = True  # as a link does unless told otherwise
_ADMIN = {"Authorization": "Bearer admin-demo", "Content-Type": "application/json"}


class Gateway:
    """One gateway on an empty folder, and on an empty database of `new_database` if that is set."""

    new_database: ClassVar[Callable[[], str] | None] = None

    def __init__(self, folder: Path, sink_port: int, *settings: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "trebuchet", "serve", "--demo", "--data", str(folder)]
        command += ["--port", str(self.port), "--callback-url", f"http://127.0.0.1:{sink_port}/callbacks"]
        if Gateway.new_database is not None:
            settings = (*settings, f"storage.database={Gateway.new_database()}")
        for setting in settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not self._answers():
            if self.process.poll() is not None:
                raise SystemExit("the gateway did not start")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return bool(self.get("/readyz") == b"ok\n")
        except OSError:
            return False

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return bytes(answer.read())

    def pause_carrier(self) -> None:
        url = f"http://127.0.0.1:{self.port}/admin/v1/carriers/simulator/pause"
        urllib.request.urlopen(urllib.request.Request(url, b"", _ADMIN, method="POST"), timeout=30).close()

    def connect_smsc(self, port: int) -> None:
        """Make every message go over SMPP."""
        settings = {
            "host": "127.0.0.1",
            "port": port,
            "system_id": "bench",
            "window": 256,
            "keep_pdus": KEEP_PDUS,
        }
        self.admin("POST", "carriers", {"id": "smsc", "kind": "smpp", "settings": settings})
        self.admin("POST", "routes", {"id": "all-to-smsc", "carrier_id": "smsc", "priority": 1})

    def link_is_up(self) -> bool:
        return b'trebuchet_link_up{carrier="smsc"} 1.0' in self.get("/metrics")

    def admin(self, method: str, path: str, body: dict[str, Any]) -> None:
        url = f"http://127.0.0.1:{self.port}/admin/v1/{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), _ADMIN, method=method)
        urllib.request.urlopen(request, timeout=30).close()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def memory_mb(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE / 1e6

    def batches(self) -> tuple[float, float]:
        """Changes and transactions so far."""
        metrics = self.get("/metrics").decode()
        return tuple(  # type: ignore[return-value]  # two matches are two floats
            float(re.search(rf"^trebuchet_commit_batch_size_{part} (\S+)$", metrics, re.MULTILINE)[1])  # type: ignore[index]
            for part in ("sum", "count")
        )

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def load(port: int, count: int, rate: float | None, *, warm: bool = False) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.load", str(port), str(count)]
    if rate is not None:
        command += ["--rate", str(rate)]
    if warm:
        command.append("--warm")
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent
    ).stdout
    figures: dict[str, Any] = json.loads(output)
    return figures


class Beside:
    """A process beside the gateway (`bench.sink`, `bench.smsc`) that says when it is ready and, at its end, JSON."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        self._line()

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def figures(self) -> dict[str, Any]:
        """Waits until it has come to its end by itself."""
        found: dict[str, Any] = json.loads(self._line())
        return found

    def stop(self) -> bytes:
        return self.process.communicate(b"", timeout=30)[0]


def measure(mode: str, count: int, rate: float | None) -> dict[str, Any]:
    """One run on an empty database."""
    sink = Beside("bench.sink", str(sink_port := free_port()), str(count))
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder), sink_port, "simulator.delay_min_ms=1", "simulator.delay_max_ms=20")
        if mode == "accept":
            gateway.pause_carrier()
        smsc = None
        if mode == "smpp":
            smsc = Beside("bench.smsc", str(smsc_port := free_port()), "--receipt-ms", "20")
            gateway.connect_smsc(smsc_port)
            wait_until(gateway.link_is_up)
        # Warm: connections, caches, the first pages of the tables.
        load(gateway.port, min(1000, count), None, warm=True)
        if mode != "accept":
            time.sleep(1)
        changes, transactions = gateway.batches()
        cpu_s, started_s = gateway.cpu_s(), time.perf_counter()
        figures = load(gateway.port, count, rate)
        if mode != "accept":
            figures |= {f"life_{name}": value for name, value in sink.figures().items()}
        seconds = time.perf_counter() - started_s
        figures["cpu_us_per_message"] = round((gateway.cpu_s() - cpu_s) / count * 1e6, 1)
        figures["whole_per_s"] = round(count / seconds)
        after = gateway.batches()
        figures["changes_per_commit"] = round((after[0] - changes) / max(1, after[1] - transactions), 1)
        figures["memory_mb"] = round(gateway.memory_mb())
        gateway.stop()
        if smsc is not None:
            figures["smsc"] = json.loads(smsc.stop())
    sink.stop()
    return {"mode": mode, "messages": count, "offered_per_s": rate or "saturation", **figures}


def measure_drain(queued: int) -> dict[str, Any]:
    """How fast `queued` messages go out, and are called back, once an SMSC that was down comes up."""
    sink = Beside("bench.sink", str(sink_port := free_port()), str(queued))
    smsc_port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder), sink_port, "outbox.queue_max=10000000")
        gateway.connect_smsc(smsc_port)
        load(gateway.port, queued, None)
        queued_mb = gateway.memory_mb()
        smsc = Beside("bench.smsc", str(smsc_port), "--receipt-ms", "20")
        wait_until(gateway.link_is_up)
        cpu_s, started_s = gateway.cpu_s(), time.perf_counter()
        called_back = sink.figures()["called_back"]
        seconds = time.perf_counter() - started_s
        result = {
            "mode": "drain",
            "messages": queued,
            "called_back": called_back,
            "whole_per_s": round(queued / seconds),
            "cpu_us_per_message": round((gateway.cpu_s() - cpu_s) / queued * 1e6, 1),
            "queued_mb": round(queued_mb),
            "drained_mb": round(gateway.memory_mb()),
        }
        gateway.stop()
        result["smsc"] = json.loads(smsc.stop())
    sink.stop()
    return result


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    give_up_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_s:
            raise SystemExit(f"{condition.__name__} did not come to pass within {seconds:g} s")
        time.sleep(0.05)


def measure_memory(queued: int) -> dict[str, Any]:
    """Resident memory before and with `queued` messages waiting for a carrier that is paused."""
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder), free_port(), "outbox.queue_max=10000000")
        gateway.pause_carrier()
        load(gateway.port, 10_000, None, warm=True)
        before_mb = gateway.memory_mb()
        figures = load(gateway.port, queued, None)
        result = {
            "mode": "memory",
            "messages": queued,
            "before_mb": round(before_mb),
            "with_mb": round(gateway.memory_mb()),
        }
        gateway.stop()
    return {**result, "accept_per_s": figures["per_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modes", nargs="*", default=["accept", "life", "smpp", "memory", "drain"])
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--queued", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own, beside it here")
    given = parser.parse_args()
    with postgres() if given.postgres else nullcontext():
        run(given)


@contextmanager
def postgres() -> Iterator[None]:
    """Every gateway gets a database of one server, which shares the machine with all else."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from support.postgres import running_server  # noqa: PLC0415  # the tests' server

    with running_server() as server:
        Gateway.new_database = lambda: asyncio.run(server.new_database())
        yield


def run(given: argparse.Namespace) -> None:
    sizes = [int(size) for size in given.sizes.split(",")]
    for mode in given.modes:
        if mode in ("memory", "drain"):
            measured = measure_memory if mode == "memory" else measure_drain
            print(json.dumps(measured(given.queued)), flush=True)
            continue
        for size in sizes:
            print(json.dumps(measure(mode, size, None)), flush=True)
        print(json.dumps(measure(mode, sizes[0], given.rate)), flush=True)


if __name__ == "__main__":
    main()
