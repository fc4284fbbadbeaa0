"""How a worker ends: a signal, its patience with present jobs, a role that may not work."""
