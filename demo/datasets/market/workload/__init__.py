"""What clients do to the market: all of one style, which no conversion disturbs."""
