"""The status on a terminal."""
