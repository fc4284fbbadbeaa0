"""Jobs that fail, are paused, lose their worker or their lease."""
