"""Sessions: how they are opened, what they say first, and what everything is called."""
