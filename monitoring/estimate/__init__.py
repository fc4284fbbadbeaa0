"""How long a run still takes: an interval, from what its jobs took so far."""
