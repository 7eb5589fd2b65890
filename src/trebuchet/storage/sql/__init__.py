"""What is stored and how it changes, for any engine: the statements, and what is decided between them.

A decision is a generator of steps (`steps`): it yields statements, is sent the rows that they found, and returns its
result. It does no I/O of its own, so one text of it runs on SQLite, in a thread, and on PostgreSQL, in the event loop.
"""
