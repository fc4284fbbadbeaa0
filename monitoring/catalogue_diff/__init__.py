"""Before against after: what a run changed in the catalogue, and which part of its plan explains it."""
