"""Telling others of a run: signed webhooks that follow the ledger's events, each delivered at least once."""
