"""The report of a run: the six success criteria, what happened, and what is left to do, on one page."""
