"""What clients do to the shop: all of one style, which no conversion disturbs."""
