"""How values are converted and compared."""
