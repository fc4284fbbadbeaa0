"""Tables and caches of a run."""
