"""What the buttons of the run page do."""
