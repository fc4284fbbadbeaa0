"""The plan: one module a section."""
