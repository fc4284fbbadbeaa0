"""Which role a session acts as, and what others may read."""
