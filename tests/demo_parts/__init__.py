"""The demo's parts: the sample market, the application that writes to it, and the offline comparison."""
