"""What the studio works on."""
