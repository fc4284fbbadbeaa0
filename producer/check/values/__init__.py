"""Every value of the planned columns, and what refers to it."""
