"""The history of what the studio works on."""
