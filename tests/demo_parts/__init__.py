"""The demo's parts: the sample shop, the application that writes to it, and the offline comparison."""
