"""Inspect: evidence from the catalogue and a sample, a proposal, and the plan as a file."""
