"""What changes in a schema file."""
