"""Whatever changes a row is captured, and gaps are noticed."""
