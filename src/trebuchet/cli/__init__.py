"""The command line: starts the gateway, and talks to a running one over HTTP.

`serve` must be ready at once, so nothing here is imported before it is needed: `program` reads the first
word, and only the module of that command is imported.

program (what runs) · tree (all commands) · outcome (exit codes) · serve, welcome
configuration (check, settings, migrate) · reference (the page of the manual)
options, client, connection (HTTP to a gateway) · output, life, when (what is printed)
follow (send, tail, wait) · messages (messages, show, replay) · operations (links, status)
resources, records (accounts, numbers, …)
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
