"""The log: events with fields on standard error, as lines for people or as JSON."""

import logging
import sys
from typing import Any, TextIO

from trebuchet.telemetry import EventLog


def event_log(level: str, form: str, stream: TextIO = sys.stderr) -> EventLog:
    """A structlog logger that writes from `level` upwards.

    `form` is "console", "json" or "auto": console on a terminal, JSON otherwise. Exceptions are logged by their
    type and words only; what a message says is never given to it.
    """
    import structlog  # noqa: PLC0415  # a tenth of a second that a quiet start need not spend

    people = form == "console" or (form == "auto" and stream.isatty())
    render: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if people
        else structlog.processors.JSONRenderer()
    )
    log: EventLog = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
    return log
