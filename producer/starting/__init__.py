"""Beginning a run, and correcting what it was begun with."""
