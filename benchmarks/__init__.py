"""What Replank costs, and how good its figures are: one room a question."""
