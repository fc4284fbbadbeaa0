"""From the new tables back to the past ones."""
