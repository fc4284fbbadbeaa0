"""Random interleavings of everybody who takes part."""
