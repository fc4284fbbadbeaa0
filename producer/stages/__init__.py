"""The stages of a table or cache: what opens each barrier, and what happens then."""
