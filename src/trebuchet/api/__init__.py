"""The HTTP API: octets in, a `SendRequest` or a problem answer out. Knows nothing of carriers."""
