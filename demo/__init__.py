"""The demonstration: a sample database, its live application, and Replank rebuilding it underneath."""
