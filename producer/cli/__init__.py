"""The commands that plan, run, correct and undo."""
