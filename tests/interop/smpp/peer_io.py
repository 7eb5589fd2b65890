"""How a foreign peer in Python talks to the test that started it: JSON lines, events out and commands in."""

import json
import signal
import sys
from typing import Any

LIFE_S = 60  # whoever is forgotten ends by itself


def plan() -> dict[str, Any]:
    """What the test asks of this peer; ends the process by SIGALRM after its life."""
    signal.alarm(LIFE_S)
    return dict(json.loads(sys.argv[1]))


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def order(line: str | bytes) -> dict[str, Any]:
    """A command. The end of the input is the command to end."""
    return dict(json.loads(line)) if line else {"do": "end"}
