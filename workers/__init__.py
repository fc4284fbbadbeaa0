"""Doing one job well."""
