"""One plan on many databases: who begins when, each in a process of its own, and nothing kept but their ledgers."""
