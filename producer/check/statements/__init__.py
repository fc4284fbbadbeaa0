"""Statements and functions of the application that may break."""
