"""Settings, roles and poolers that a session may meet."""
