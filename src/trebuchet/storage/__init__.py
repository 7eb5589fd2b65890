"""Everything that is kept: the schema, the contract that each engine fulfils, and the engines."""
