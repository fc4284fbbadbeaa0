"""Deciding what runs next: inspect, check, cut, dispatch, govern, coordinate."""
