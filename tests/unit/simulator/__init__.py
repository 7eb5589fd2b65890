"""The simulated network, without sockets or a disk."""
