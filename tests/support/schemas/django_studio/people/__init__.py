"""Who works in the studio."""
