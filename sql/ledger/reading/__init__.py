"""What metrics, page and receivers read."""
