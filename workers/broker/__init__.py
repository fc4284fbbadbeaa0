"""A worker's way to the broker: what is taken from it, what is dropped, and whether it still answers."""
