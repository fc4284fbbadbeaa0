"""What tools for models share: what a plan changes, and the SQL of an offline migration that does the same."""
