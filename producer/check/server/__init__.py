"""What the server and its surroundings say against the run."""
