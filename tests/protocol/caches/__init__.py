"""Caches beside their contents, in step with their sources, and when something dies."""
