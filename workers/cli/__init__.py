"""The command `replank worker`."""
