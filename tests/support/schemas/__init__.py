"""Schemas with their rows, for runs to convert: small ones of ours, and real ones of others."""
