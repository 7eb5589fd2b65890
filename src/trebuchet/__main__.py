"""`python -m trebuchet` is the command `trebuchet`."""

from trebuchet.cli import main

main()
