"""What a plan says of tables: their columns, partitions and caches."""
