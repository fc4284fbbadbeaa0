"""The rehearsal: the whole plan, and its rollback, on a clone."""
