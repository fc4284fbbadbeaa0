"""How a table goes on: what opens each of its barriers, and what is behind it."""
