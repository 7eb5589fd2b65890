"""Wire formats: octets in, values out, and back. Standard library and msgspec only; no I/O, no clock."""
