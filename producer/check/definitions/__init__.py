"""What the catalogue says against the plan."""
