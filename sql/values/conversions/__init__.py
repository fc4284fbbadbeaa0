"""How a live value becomes the next one and comes back: one class for each way."""
