"""How one plan stands on many databases."""
