"""Jobs: claimed, sent, lost, failed, counted."""
