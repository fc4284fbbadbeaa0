"""Clients that write while a run goes on, and the journal of what was acknowledged to them."""
