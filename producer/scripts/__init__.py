"""Running the scripts of the steps."""
