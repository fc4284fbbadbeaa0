"""The rows of a table on their way: captured, copied, split, filled."""
