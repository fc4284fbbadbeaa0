"""Prometheus metrics of a run, read from its ledger when they are asked for."""
