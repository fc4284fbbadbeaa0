"""The swap: which lock when, and all that changes places under it."""
