"""What a picture costs: CPU of the gateway that sends it and of the one that receives it, over MM4 on loopback.

    python bench/pictures.py [--messages 200] [--octets 300000]

Two gateways are each other's carrier. Every message has the same picture, uploaded before; each is fetched from the
store, held, forwarded, answered, stored, reported, and called back at both ends.
"""

import argparse
import base64
import json
import random
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.run import Beside, Gateway, free_port, wait_until

_DEMO = "Basic " + base64.b64encode(b"t-demo:s-demo").decode()
_APPLICATION = "93de2206-9669-4e07-948d-329f4b722ee2"
_FAR = "+13125550101"


def connect(gateway: Gateway, ours: str, theirs: str, port: int, listen_port: int) -> None:
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "domain": f"{theirs}.example",
        "our_domain": f"{ours}.example",
        "listen_host": "127.0.0.1",
        "listen_port": listen_port,
        "listen_from": ["127.0.0.1"],
    }
    gateway.admin("POST", "carriers", {"id": "far", "kind": "mm4", "settings": settings})
    gateway.admin("POST", "routes", {"id": "mms", "carrier_id": "far", "kind": "mms", "priority": 1})


def ask(gateway: Gateway, method: str, path: str, body: bytes, content_type: str) -> None:
    url = f"http://127.0.0.1:{gateway.port}/v2/users/u-demo/{path}"
    headers = {"Authorization": _DEMO, "Content-Type": content_type}
    urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=30).close()


def counted(gateway: Gateway, type_: str) -> int:
    """Events of a type so far."""
    mark = f'trebuchet_events_total{{type="{type_}"}} '
    lines = gateway.get("/metrics").decode().splitlines()
    return int(float(next((line.removeprefix(mark) for line in lines if line.startswith(mark)), "0")))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--octets", type=int, default=300_000)
    given = parser.parse_args()
    with ExitStack() as stack:
        sink_port = free_port()
        sink = Beside("bench.sink", str(sink_port), "0")
        stack.callback(sink.stop)
        near, far = (
            Gateway(Path(stack.enter_context(tempfile.TemporaryDirectory())), sink_port) for _ in range(2)
        )
        stack.callback(near.stop)
        stack.callback(far.stop)
        number = {"number": _FAR, "account_id": "u-demo", "application_id": _APPLICATION}
        far.admin("POST", "numbers", number)
        ports = free_port(), free_port()
        connect(near, "near", "far", ports[1], ports[0])
        connect(far, "far", "near", ports[0], ports[1])
        # Noise behind the head of a JPEG: it fits the carrier, so nobody looks further.
        picture = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + random.Random(1).randbytes(given.octets - 11)
        ask(near, "PUT", "media/picture.jpg", picture, "image/jpeg")
        url = f"http://127.0.0.1:{near.port}/v2/users/u-demo/media/picture.jpg"
        before = near.cpu_s(), far.cpu_s()
        started_s = time.monotonic()
        for place in range(given.messages):
            message = {"from": "+12345678901", "to": _FAR, "media": [url], "text": f"{place}"}
            body = json.dumps({**message, "applicationId": _APPLICATION}).encode()
            ask(near, "POST", "messages", body, "application/json")
        wait_until(lambda: counted(near, "message-delivered") >= given.messages, 300)
        seconds = time.monotonic() - started_s
        cost = [
            (after - was) / given.messages
            for after, was in zip((near.cpu_s(), far.cpu_s()), before, strict=True)
        ]
        print(
            json.dumps(
                {
                    "messages": given.messages,
                    "octets": given.octets,
                    "per_s": round(given.messages / seconds, 1),
                    "sender_cpu_ms": round(cost[0] * 1000, 2),
                    "receiver_cpu_ms": round(cost[1] * 1000, 2),
                    "memory_mb": [round(near.memory_mb()), round(far.memory_mb())],
                }
            )
        )


if __name__ == "__main__":
    main()
