"""The nouns of the gateway. Plain values: no I/O, no clock, no settings."""
