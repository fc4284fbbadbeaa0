"""How long those who look have to wait where the ledger is large: `status`, and the run page."""
