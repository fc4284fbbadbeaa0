"""The check: what would stop a run or surprise after it; one concern a module."""
