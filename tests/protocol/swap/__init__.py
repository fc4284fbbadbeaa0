"""Locks, snapshots and sets at the swap."""
