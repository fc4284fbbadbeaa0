"""Flower and the run page in one server, behind one login."""
