"""Addresses of servers, which are never shown with a secret."""
