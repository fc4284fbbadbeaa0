"""What suites share. Suites import from here, and nothing of each other."""
