"""Values that travel between all parts: what a table is, a chunk, a state, a message."""
