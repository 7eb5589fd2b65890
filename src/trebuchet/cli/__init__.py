"""The command line: starts the gateway, and talks to a running one over HTTP.

`serve` must be ready at once, so nothing here is imported before it is needed: `main` reads the first word,
and `program` imports the module of that command only.

program (the command tree) · outcome (exit codes) · serve, welcome · configuration (check, settings, migrate)
· client, connection (HTTP to a gateway) · output, life (what is printed) · follow (send, tail, wait) ·
messages (messages, show, replay) · resources, records (accounts, numbers, …) · operations (links, status) ·
reference (the page of the manual)
"""

import sys


def main() -> None:
    """Run the command that the process was started with, then exit with its code."""
    try:
        from trebuchet.cli.program import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
