"""The coordinator: one process that holds the phase barriers and sends jobs, until the run is done."""
