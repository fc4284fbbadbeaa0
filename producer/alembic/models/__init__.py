"""An application's models: what they say, and what their source must say after the run."""
