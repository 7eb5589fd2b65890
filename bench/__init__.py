"""The figures that we publish, and the tools that measure them; each tool runs in a process of its own."""
