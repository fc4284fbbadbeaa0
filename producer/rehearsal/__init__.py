"""The rehearsal: the whole plan, and its way back, on a clone."""
