"""Waiting for locks, for a database that restarts, and for the leader's place."""
