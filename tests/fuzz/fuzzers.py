"""The coverage-guided fuzzers of this folder: what each begins with, and how it is run.

As a program: `fuzzers.py FOLDER SECONDS` runs each for so long, and goes on next time with what it has learnt.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from trebuchet.protocols.smpp import MessageState, receipt

HERE = Path(__file__).parent
LONGEST = 1200


def pdus() -> list[bytes]:
    """Those that other implementations wrote."""
    vectors = json.loads((HERE.parent / "vectors" / "smpp_pdus.json").read_text())
    return [bytes.fromhex(each["hex"]) for each in vectors["pdus"]]


def receipts() -> list[bytes]:
    """One in each style and of each state."""
    dates = {"submit_date": "20261123120000", "done_date": "20261123120001"}
    return [
        receipt.format("00B8BE19", state, text="hello", style=style, **dates).encode()
        for style in receipt.Style
        for state in MessageState
    ]


def mails() -> list[bytes]:
    """One of each message of MM4, and a peer's."""
    return [path.read_bytes() for path in sorted((HERE.parent / "golden" / "mm4").glob("*.eml"))]


def soap() -> list[bytes]:
    """One message of each kind, and content in parts."""
    status = b"<Status><StatusCode>1000</StatusCode></Status>"
    who = b"<MessageID>m</MessageID><Recipient><Number>+1202</Number></Recipient><MMStatus>Expired</MMStatus>"
    return [
        b"<SubmitReq><Recipients><To><Number displayOnly='true'>+1202</Number></To></Recipients></SubmitReq>",
        b"<SubmitRsp>" + status + b"<MessageID>m</MessageID></SubmitRsp>",
        b"<DeliverReq><Sender><ShortCode>55555</ShortCode></Sender><Subject>a</Subject></DeliverReq>",
        b"<DeliveryReportReq>" + who + b"</DeliveryReportReq>",
        b"<ReadReplyReq>" + who + b"</ReadReplyReq>",
        b"<Fault><detail><RSErrorRsp>" + status + b"</RSErrorRsp></detail></Fault>",
        b"Content-Type: image/png\r\nContent-ID: <x>\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD",
        b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ntext\r\n--c--",
    ]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "smpp_codec": pdus,
    "smpp_session": list,
    "smpp_receipt": receipts,
    "mm4": mails,
    "mm7": soap,
}


def command(name: str, folder: Path, limit: str) -> list[str]:
    """How to run a fuzzer over the corpus in `folder`, which is made; inputs that break it go to its `found`."""
    corpus, found = folder / "corpus", folder / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    for number, octets in enumerate(SEEDS[name]()):
        (corpus / f"seed-{number}").write_bytes(octets)
    options = [limit, f"-max_len={LONGEST}", "-len_control=0", f"-artifact_prefix={found}/"]
    return [sys.executable, str(HERE / f"fuzz_{name}.py"), *options, str(corpus)]


def main(folder: str, seconds: str) -> int:
    worst = 0
    for name in SEEDS:
        done = subprocess.run(
            command(name, Path(folder) / name, f"-max_total_time={int(seconds)}"), check=False
        )
        worst = max(worst, abs(done.returncode))
    return worst


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
