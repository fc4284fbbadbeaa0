"""The next tables and the swap, tried empty in a transaction that is rolled back."""
