"""A Django application with text ids: its tables and indexes are those that Django makes."""
