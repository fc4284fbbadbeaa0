"""One module for each change of the ledger's shape, never edited after it was released."""
