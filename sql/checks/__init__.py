"""The statements of `check` and `inspect`."""
