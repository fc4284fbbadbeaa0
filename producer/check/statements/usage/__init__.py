"""What statements of SQL do with columns whose type changes, read from their parse trees."""
