"""The commands that change something, one module a command."""
