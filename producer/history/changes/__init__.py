"""What a plan changes in the database, as values that models are rewritten by."""
