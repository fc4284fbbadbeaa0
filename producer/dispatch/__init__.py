"""How many jobs may be in flight now, and sending them."""
