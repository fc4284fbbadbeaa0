"""The run page: what the ledger says, for a browser. It reads; actions come in as callables."""
