"""The engine for many nodes: one PostgreSQL, or a database that speaks as it does."""
