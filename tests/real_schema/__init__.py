"""Schemas that nobody here wrote, from the first look to the judge's last word."""
