"""Filling the tables of any schema from its catalogue alone."""
