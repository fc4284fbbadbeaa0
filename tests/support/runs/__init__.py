"""Runs: in this process step by step, or by the processes that an operator starts, and what is seen of them."""
