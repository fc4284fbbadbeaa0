"""Traces of runs, steps and jobs."""
