"""There and back, and `finish`."""
