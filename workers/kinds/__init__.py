"""What each kind of job does, in which transaction."""
