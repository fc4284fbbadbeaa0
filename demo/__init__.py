"""The demonstration: a sample shop, its live application, and Replank rebuilding it underneath."""
