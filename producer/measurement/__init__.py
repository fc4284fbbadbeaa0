"""What is measured before a run and after it."""
