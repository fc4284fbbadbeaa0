"""Looking, never changing."""
