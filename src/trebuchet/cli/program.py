"""Which command runs, and the one place where a command's failure becomes text and an exit code."""

import sys
from collections.abc import Sequence

from trebuchet.cli.outcome import Code, CommandError
from trebuchet.errors import TrebuchetError


def run(arguments: Sequence[str]) -> int:
    """Run one command. Blocks until it ends. Returns its exit code; what failed is on stderr."""
    try:
        if arguments[:1] == ["serve"] and "--help" not in arguments:
            from trebuchet.cli.serve import run_quickly

            return run_quickly(arguments[1:])
        from trebuchet.cli.tree import run_tree

        return run_tree(arguments)
    except CommandError as error:
        return complain(str(error), error.code)
    except (TrebuchetError, OSError) as error:
        return complain(str(error), Code.NO)


def complain(text: str, code: Code) -> int:
    """Print a failure to stderr, one `error:` a line."""
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)
    return code
