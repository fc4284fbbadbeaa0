"""Values and their equality."""
