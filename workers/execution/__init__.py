"""Executing one job: claimed, done or not, and what then."""
