"""Clients of a live application: how they write, and what they must find again. Nothing here knows one database."""
