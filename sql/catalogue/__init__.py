"""What the catalogue says of tables and of what depends on them."""
