"""The words Replank is written in: plan, run, chunk, states, settings, errors. Opens no connection."""

__version__ = "0.1.0"
