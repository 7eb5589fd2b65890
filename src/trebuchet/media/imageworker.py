"""The program of an image worker: reads jobs from its input, one after the other, and answers each.

It ends with its input, so it does not outlive the gateway, however that ended.
"""

import signal
import sys
from typing import BinaryIO

from trebuchet.media.imagejobs import GREETING, HEADER, Done, Failed, Job, frame, job_of
from trebuchet.media.images import BadImage, CannotFit
from trebuchet.media.redraw import fit

if sys.platform == "linux":
    import resource


def answer(job: Job) -> Done | Failed:
    """What became of the picture."""
    try:
        fitted = fit(job.octets, job.content_type, job.limit)
    except (BadImage, CannotFit) as error:
        return Failed(bad=isinstance(error, BadImage), words=str(error))
    return Done(fitted.octets, fitted.content_type)


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Greet, then answer every job until the input ends."""
    answers.write(GREETING)
    answers.flush()
    while len(header := jobs.read(HEADER)) == HEADER:
        job = job_of(jobs.read(int.from_bytes(header, "big")))
        answers.write(frame(answer(job)))
        answers.flush()


def main() -> None:
    """Take no more address space than the first argument says, in octets; only Linux sees to it."""
    if sys.platform == "linux":
        most = int(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # Both reach the whole group of processes. The gateway ends its workers when it needs them no more.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
