"""Failed jobs: why each failed, and what to do next."""
