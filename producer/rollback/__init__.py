"""Rollback and finish: back to what was, or past the point of no return."""
