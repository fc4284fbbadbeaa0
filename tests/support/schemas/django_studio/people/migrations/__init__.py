"""The history of who works in the studio."""
