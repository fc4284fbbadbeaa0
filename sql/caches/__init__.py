"""Caches: marks of what changed, their contents, their swap."""
