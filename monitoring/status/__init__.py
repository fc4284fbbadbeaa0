"""What a run is doing now, read from its ledger: the document of `status --json`."""
