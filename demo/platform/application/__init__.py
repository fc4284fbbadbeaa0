"""The platform's live application: clients of the old style and of the new one, side by side, through the migration."""
