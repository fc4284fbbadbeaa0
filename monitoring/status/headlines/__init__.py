"""What an operator should know first and do next, in sentences: one verdict for status, page, exporter and programs."""
