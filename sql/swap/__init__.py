"""The swap: which lock when, and all that is swapped under it."""
