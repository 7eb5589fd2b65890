"""The console: pages over the reads of the admin API and `accept()`; no logic of its own."""
