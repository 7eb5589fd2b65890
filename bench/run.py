"""CPU per message of the gateway's own process, rates, batch sizes and memory. `make bench`.

    python bench/run.py [accept] [life] [memory] [--sizes 10000,100000] [--rate 1000] [--queued 1000000]

accept   POST to 202, durable, the carrier paused: nothing but taking messages
life     POST, simulated carrier, receipt, callback answered by a local sink
memory   resident memory with messages queued for a paused carrier

The gateway, the load and the sink are processes of their own on this machine; CPU is user + system of the
gateway's process only, from /proc, so the others' work is not in it though they share the cores.
"""

import argparse
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
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ADMIN = {"Authorization": "Bearer admin-demo", "Content-Type": "application/json"}


class Gateway:
    """One gateway on an empty folder."""

    def __init__(self, folder: Path, sink_port: int, *settings: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "trebuchet", "serve", "--demo", "--data", str(folder)]
        command += ["--port", str(self.port), "--callback-url", f"http://127.0.0.1:{sink_port}/callbacks"]
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


def measure(mode: str, count: int, rate: float | None) -> dict[str, Any]:
    """One run on an empty database."""
    sink_port = free_port()
    sink = subprocess.Popen(
        [sys.executable, "-m", "bench.sink", str(sink_port), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    assert sink.stdout is not None
    sink.stdout.readline()
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder), sink_port, "simulator.delay_min_ms=1", "simulator.delay_max_ms=20")
        if mode == "accept":
            gateway.pause_carrier()
        load(
            gateway.port, min(1000, count), None, warm=True
        )  # warm: connections, caches, the first pages of the tables
        if mode == "life":
            time.sleep(1)
        changes, transactions = gateway.batches()
        cpu_s, started_s = gateway.cpu_s(), time.perf_counter()
        figures = load(gateway.port, count, rate)
        if mode == "life":
            figures |= {f"life_{name}": value for name, value in json.loads(sink.stdout.readline()).items()}
        seconds = time.perf_counter() - started_s
        figures["cpu_us_per_message"] = round((gateway.cpu_s() - cpu_s) / count * 1e6, 1)
        figures["whole_per_s"] = round(count / seconds)
        after = gateway.batches()
        figures["changes_per_commit"] = round((after[0] - changes) / max(1, after[1] - transactions), 1)
        figures["memory_mb"] = round(gateway.memory_mb())
        gateway.stop()
    sink.communicate(b"", timeout=30)
    return {"mode": mode, "messages": count, "offered_per_s": rate or "saturation", **figures}


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
    parser.add_argument("modes", nargs="*", default=["accept", "life", "memory"])
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--queued", type=int, default=1_000_000)
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    for mode in given.modes:
        if mode == "memory":
            print(json.dumps(measure_memory(given.queued)), flush=True)
            continue
        for size in sizes:
            print(json.dumps(measure(mode, size, None)), flush=True)
        print(json.dumps(measure(mode, sizes[0], given.rate)), flush=True)


if __name__ == "__main__":
    main()
