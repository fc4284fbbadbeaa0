"""What the ledger's tables are: the one description of their columns, which upgrades and statements follow."""
