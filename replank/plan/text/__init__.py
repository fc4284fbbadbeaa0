"""A plan as a text: its lines, its words, and what is wrong with it."""
